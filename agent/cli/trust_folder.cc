#include "agent/cli/trust_folder.h"

#include <algorithm>
#include <filesystem>

#include "attest/base/text.h"
#include "platform/trusted_file.h"

namespace countersign::agent {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxFile = 256 * 1024;
constexpr size_t kMaxRoots = 256;
constexpr std::string_view kBegin = "-----BEGIN CERTIFICATE-----";
constexpr std::string_view kEnd = "-----END CERTIFICATE-----";

tl::unexpected<Error> FailIn(const fs::path& path, const Error& error) {
  return Fail(error.code == ErrorCode::kTooLarge ? ErrorCode::kTooLarge
                                                 : ErrorCode::kConfigInvalid,
              Printable(path.string()) + ": " +
                  (error.detail.empty() ? std::string(Message(error.code))
                                        : error.detail));
}

Result<std::string> ReadText(const fs::path& path) {
  CS_ASSIGN_OR_RETURN(const Bytes bytes,
                      platform::ReadWholeFile(path.string(), kMaxFile));
  return AsString(bytes);
}

// File names in `folder`, sorted. kNotFound.
Result<std::vector<std::string>> NamesIn(const fs::path& folder) {
  std::error_code error;
  std::vector<std::string> names;
  fs::directory_iterator entry(folder, error);
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
    names.push_back(entry->path().filename().string());
  }
  if (error) {
    return Fail(ErrorCode::kNotFound,
                Printable(folder.string()) + ": " + error.message());
  }
  std::ranges::sort(names);
  return names;
}

bool MeantToCount(std::string_view name) {
  return name.ends_with(".vkey") || name.ends_with(".pem") ||
         name.ends_with(".json");
}

Status LoadServiceKeys(const fs::path& path, TrustFolder& trust) {
  CS_ASSIGN_OR_RETURN(const std::string text, ReadText(path));
  auto keys = jose::KeySet::FromJson(text);
  if (!keys.has_value()) return FailIn(path, keys.error());
  if (keys->empty()) {
    return FailIn(path, {ErrorCode::kConfigInvalid, "no ES256 key in it"});
  }
  trust.service_keys = *std::move(keys);
  return {};
}

Status LoadLedgerKey(const fs::path& path, TrustFolder& trust) {
  CS_ASSIGN_OR_RETURN(std::string text, ReadText(path));
  if (text.ends_with('\n')) text.pop_back();
  auto key = ledger::NoteVerifier::FromVkey(text);
  if (!key.has_value()) return FailIn(path, key.error());
  trust.ledger_key = *std::move(key);
  return {};
}

Status LoadEkRoots(const fs::path& folder, TrustFolder& trust) {
  CS_ASSIGN_OR_RETURN(const auto names, NamesIn(folder));
  std::vector<Bytes> roots;
  for (const std::string& name : names) {
    if (name.ends_with(".crl")) continue;
    const fs::path path = folder / name;
    if (!name.ends_with(".pem")) {
      return FailIn(path, {ErrorCode::kConfigInvalid, "not a .pem file"});
    }
    CS_ASSIGN_OR_RETURN(const std::string text, ReadText(path));
    auto found = CertificatesFromPem(text);
    if (!found.has_value()) return FailIn(path, found.error());
    // Each file by itself first, so that a mistake is named by its file.
    const auto alone = verifier::EkTrust::FromDer(*found, {});
    if (!alone.has_value()) return FailIn(path, alone.error());
    std::ranges::move(*found, std::back_inserter(roots));
    if (roots.size() > kMaxRoots) {
      return Fail(ErrorCode::kTooLarge,
                  "over 256 roots in " + Printable(folder.string()));
    }
  }
  CS_ASSIGN_OR_RETURN(trust.ek_roots, verifier::EkTrust::FromDer(roots, {}));
  trust.ek_root_count = roots.size();
  return {};
}

}  // namespace

Result<std::vector<Bytes>> CertificatesFromPem(std::string_view pem) {
  std::vector<Bytes> certificates;
  for (size_t at = pem.find(kBegin); at != std::string_view::npos;
       at = pem.find(kBegin, at)) {
    at += kBegin.size();
    const size_t end = pem.find(kEnd, at);
    if (end == std::string_view::npos) {
      return Fail(ErrorCode::kConfigInvalid, "a certificate without end");
    }
    std::string text(pem.substr(at, end - at));
    std::erase_if(text, [](char c) { return c == '\n' || c == '\r'; });
    auto der = FromBase64(text);
    if (!der.has_value()) {
      return Fail(ErrorCode::kConfigInvalid, "a certificate is not base64");
    }
    certificates.push_back(*std::move(der));
    at = end;
  }
  if (certificates.empty()) {
    return Fail(ErrorCode::kConfigInvalid, "no certificate in it");
  }
  return certificates;
}

Result<TrustFolder> LoadTrustFolder(const std::string& path) {
  const fs::path folder(path);
  CS_ASSIGN_OR_RETURN(const auto names, NamesIn(folder));
  TrustFolder trust;
  for (const std::string& name : names) {
    const fs::path file = folder / name;
    if (name == "service.jwks.json") {
      CS_RETURN_IF_ERROR(LoadServiceKeys(file, trust));
    } else if (name == "ledger.vkey") {
      CS_RETURN_IF_ERROR(LoadLedgerKey(file, trust));
    } else if (name == "ek-roots") {
      CS_RETURN_IF_ERROR(LoadEkRoots(file, trust));
    } else if (MeantToCount(name)) {
      return FailIn(file, {ErrorCode::kConfigInvalid, "an unknown file"});
    }
  }
  if (trust.service_keys.empty()) {
    return Fail(ErrorCode::kNotFound,
                Printable(path) + " holds no service.jwks.json");
  }
  return trust;
}

}  // namespace countersign::agent
