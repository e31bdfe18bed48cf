#include "attest/authz/policy/policy_holder.h"

#include <sys/stat.h>

#include "attest/authz/files.h"

namespace countersign::authz {

Result<std::unique_ptr<PolicyHolder>> PolicyHolder::Load(
    const std::string& path) {
  auto holder = std::make_unique<PolicyHolder>(nullptr);
  holder->path_ = path;
  CS_RETURN_IF_ERROR(holder->Reload([](const Policy&) { return Status(); }));
  return holder;
}

std::shared_ptr<const Policy> PolicyHolder::Get() const {
  const std::lock_guard lock(mutex_);
  return policy_;
}

Result<bool> PolicyHolder::Reload(
    const std::function<Status(const Policy&)>& accept) {
  // Taken before reading: a change in between is seen the next time.
  stamp_ = StampOf();
  auto text = ReadTrustedFile(path_, kMaxPolicySize);
  if (!text && text.error().code == ErrorCode::kTooLarge) {
    return Fail(ErrorCode::kConfigInvalid, path_ + ":1: larger than 4 MiB");
  }
  if (!text) return tl::unexpected<Error>(std::move(text).error());
  CS_ASSIGN_OR_RETURN(auto policy, Policy::Parse(*text, path_));
  const auto before = Get();
  if (before && before->version() == policy->version()) return false;
  if (Status accepted = accept(*policy); !accepted) {
    stamp_ = Stamp{};  // Nothing is wrong with the file: try again.
    return tl::unexpected<Error>(std::move(accepted).error());
  }
  const std::lock_guard lock(mutex_);
  policy_ = std::move(policy);
  return true;
}

bool PolicyHolder::Changed() const { return stamp_ != StampOf(); }

PolicyHolder::Stamp PolicyHolder::StampOf() const {
  struct stat info = {};
  if (::stat(path_.c_str(), &info) != 0) return {};
  return {
      .inode = info.st_ino,
      .size = info.st_size,
      .changed_ns = info.st_ctim.tv_sec * 1'000'000'000 + info.st_ctim.tv_nsec};
}

}  // namespace countersign::authz
