#include "attest/ledger/checkpoint.h"

#include <charconv>
#include <limits>

namespace countersign::ledger {
namespace {

constexpr uint64_t kMaxTreeSize = std::numeric_limits<int64_t>::max();

tl::unexpected<Error> Invalid(const char* why) {
  return Fail(ErrorCode::kCheckpointInvalid, why);
}

// The next line, which must not be empty and must end.
Result<std::string_view> TakeLine(std::string_view& text) {
  const size_t end = text.find('\n');
  if (end == std::string_view::npos || end == 0) {
    return Invalid("the checkpoint has an empty or unfinished line");
  }
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end + 1);
  return line;
}

Result<uint64_t> ParseSize(std::string_view text) {
  uint64_t size = 0;
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, size);
  if (parsed.ec != std::errc() || parsed.ptr != end || size > kMaxTreeSize ||
      std::to_string(size) != text) {
    return Invalid("the checkpoint's size is not a number");
  }
  return size;
}

}  // namespace

std::string FormatCheckpoint(const Checkpoint& checkpoint) {
  return checkpoint.origin + "\n" + std::to_string(checkpoint.head.size) +
         "\n" + ToBase64(checkpoint.head.root) + "\n";
}

Result<Checkpoint> ParseCheckpoint(std::string_view text) {
  Checkpoint checkpoint;
  CS_ASSIGN_OR_RETURN(const std::string_view origin, TakeLine(text));
  CS_ASSIGN_OR_RETURN(const std::string_view size, TakeLine(text));
  CS_ASSIGN_OR_RETURN(const std::string_view root, TakeLine(text));
  checkpoint.origin = std::string(origin);
  CS_ASSIGN_OR_RETURN(checkpoint.head.size, ParseSize(size));
  const auto hash = FromBase64(root);
  if (!hash || hash->size() != checkpoint.head.root.size()) {
    return Invalid("the checkpoint's root is not 32 bytes in base64");
  }
  std::ranges::copy(*hash, checkpoint.head.root.begin());
  while (!text.empty()) CS_RETURN_IF_ERROR(TakeLine(text));
  return checkpoint;
}

Result<std::string> SignCheckpoint(const Checkpoint& checkpoint,
                                   const LedgerKey& key) {
  const std::string text = FormatCheckpoint(checkpoint);
  CS_RETURN_IF_ERROR(ParseCheckpoint(text));
  return SignNote(text, key);
}

Result<Checkpoint> OpenCheckpoint(std::string_view note,
                                  const NoteVerifier& log) {
  CS_ASSIGN_OR_RETURN(const OpenedNote opened, OpenNote(note, {&log, 1}));
  CS_ASSIGN_OR_RETURN(Checkpoint checkpoint, ParseCheckpoint(opened.text));
  if (checkpoint.origin != log.name()) {
    return Invalid("the checkpoint is of another log");
  }
  return checkpoint;
}

}  // namespace countersign::ledger
