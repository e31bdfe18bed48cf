#include "attest/authz/ek_roots_folder.h"

#include <openssl/err.h>
#include <openssl/pem.h>

#include <algorithm>
#include <filesystem>

#include "attest/authz/files.h"
#include "attest/base/openssl_ptr.h"

namespace countersign::authz {
namespace {

constexpr size_t kMaxRootFile = 1024 * 1024;
constexpr size_t kMaxListFile = 16 * 1024 * 1024;
constexpr size_t kMaxFiles = 1000;

using X509CrlPtr = std::unique_ptr<X509_CRL, OpensslDeleter<X509_CRL_free>>;

tl::unexpected<Error> Bad(const std::string& path, std::string_view what) {
  return Fail(ErrorCode::kConfigInvalid, path + ":1: " + std::string(what));
}

template <auto kEncode, typename T>
Bytes ToDer(const T* object) {
  unsigned char* der = nullptr;
  const int size = kEncode(object, &der);
  if (size <= 0) return {};
  Bytes bytes(der, der + size);
  OPENSSL_free(der);
  return bytes;
}

// Appends the DER of every object in `pem`; false unless all of them parse and
// there is one.
template <typename Pointer, auto kRead, auto kEncode>
bool ReadPem(std::string_view pem, std::vector<Bytes>* objects) {
  const BioPtr in(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  const size_t before = objects->size();
  ERR_clear_error();
  while (const Pointer object{kRead(in.get(), nullptr, nullptr, nullptr)}) {
    objects->push_back(ToDer<kEncode>(object.get()));
  }
  // That there is no more is an error to OpenSSL as well, of its own kind.
  const bool at_end =
      ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  ERR_clear_error();
  return at_end && objects->size() > before;
}

Status ReadRoots(const std::string& path, EkRootsFolder* content) {
  CS_ASSIGN_OR_RETURN(const std::string text,
                      ReadTrustedFile(path, kMaxRootFile));
  if (!ReadPem<X509Ptr, PEM_read_bio_X509, i2d_X509>(text, &content->roots)) {
    return Bad(path, "not certificates in PEM");
  }
  return {};
}

bool ReadDerList(ByteSpan der, std::vector<Bytes>* lists) {
  const uint8_t* next = der.data();
  const X509CrlPtr list(
      d2i_X509_CRL(nullptr, &next, static_cast<long>(der.size())));
  ERR_clear_error();
  if (list == nullptr || next != der.data() + der.size()) return false;
  lists->push_back(ToBytes(der));
  return true;
}

Status ReadLists(const std::string& path, EkRootsFolder* content) {
  CS_ASSIGN_OR_RETURN(const std::string text,
                      ReadTrustedFile(path, kMaxListFile));
  std::vector<Bytes>* lists = &content->revocation_lists;
  if (ReadDerList(AsBytes(text), lists) ||
      ReadPem<X509CrlPtr, PEM_read_bio_X509_CRL, i2d_X509_CRL>(text, lists)) {
    return {};
  }
  return Bad(path, "not revocation lists in PEM or DER");
}

}  // namespace

Result<EkRootsFolder> ReadEkRootsFolder(const std::string& folder) {
  if (const Status safe = CheckTrustedPath(folder); !safe) {
    if (safe.error().code == ErrorCode::kUnsafePath)
      return tl::unexpected<Error>(safe.error());
    return Bad(folder, safe.error().detail);
  }
  std::vector<std::filesystem::path> files;
  std::error_code failed;
  for (std::filesystem::directory_iterator entry(folder, failed), end;
       !failed && entry != end; entry.increment(failed)) {
    const auto extension = entry->path().extension();
    if (extension != ".pem" && extension != ".crl") continue;
    if (files.size() == kMaxFiles) return Bad(folder, "over 1000 files");
    files.push_back(entry->path());
  }
  if (failed) return Bad(folder, failed.message());
  std::ranges::sort(files);
  EkRootsFolder content;
  for (const auto& file : files) {
    const Status read = file.extension() == ".pem"
                            ? ReadRoots(file.string(), &content)
                            : ReadLists(file.string(), &content);
    if (read) continue;
    if (read.error().code == ErrorCode::kTooLarge) {
      return Bad(file.string(), "too large");
    }
    return tl::unexpected<Error>(read.error());
  }
  return content;
}

}  // namespace countersign::authz
