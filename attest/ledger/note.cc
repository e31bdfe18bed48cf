#include "attest/ledger/note.h"

#include <openssl/pem.h>

#include <cstdlib>
#include <set>
#include <utility>

#include "attest/base/digest.h"
#include "attest/base/text.h"

namespace countersign::ledger {
namespace {

constexpr uint8_t kEd25519Type = 1;  // signed-note, "Signature types".
constexpr std::string_view kSignaturePrefix = "\xe2\x80\x94 ";  // "— "

using Pkcs8Ptr = std::unique_ptr<PKCS8_PRIV_KEY_INFO,
                                 OpensslDeleter<PKCS8_PRIV_KEY_INFO_free>>;

tl::unexpected<Error> Invalid(const char* why) {
  return Fail(ErrorCode::kCheckpointInvalid, why);
}

KeyId KeyIdOf(std::string_view name, const Ed25519Public& key) {
  constexpr uint8_t kSeparator[] = {'\n', kEd25519Type};
  const Sha256Digest digest = Sha256({AsBytes(name), kSeparator, key});
  KeyId id;
  std::copy_n(digest.begin(), id.size(), id.begin());
  return id;
}

bool IsNoteText(std::string_view text) {
  return text.ends_with('\n') && IsUtf8(text) &&
         std::ranges::none_of(text, [](char c) {
           return static_cast<uint8_t>(c) < 0x20 && c != '\n';
         });
}

struct SignatureLine {
  std::string_view name;
  Bytes signature;  // Key ID, then the signature itself.
};

Result<SignatureLine> ParseSignatureLine(std::string_view line) {
  if (!line.starts_with(kSignaturePrefix)) {
    return Invalid("a signature line does not start with a dash");
  }
  line.remove_prefix(kSignaturePrefix.size());
  const size_t space = line.find(' ');
  if (space == std::string_view::npos || !IsKeyName(line.substr(0, space))) {
    return Invalid("a signature line has no key name");
  }
  auto signature = FromBase64(line.substr(space + 1));
  if (!signature || signature->size() <= sizeof(KeyId)) {
    return Invalid("a signature is not base64 of a key ID and more");
  }
  return SignatureLine{line.substr(0, space), *std::move(signature)};
}

// The verifier that `line` claims; null for a key that is not trusted.
const NoteVerifier* FindVerifier(const SignatureLine& line,
                                 std::span<const NoteVerifier> verifiers) {
  for (const NoteVerifier& verifier : verifiers) {
    if (verifier.name() == line.name &&
        Equal(verifier.key_id(),
              ByteSpan(line.signature).first(sizeof(KeyId)))) {
      return &verifier;
    }
  }
  return nullptr;
}

std::string_view TakeLine(std::string_view& lines) {
  const size_t end = lines.find('\n');
  const std::string_view line = lines.substr(0, end);
  lines.remove_prefix(end + 1);
  return line;
}

}  // namespace

bool IsKeyName(std::string_view name) {
  return !name.empty() && std::ranges::all_of(name, [](char c) {
    return c > ' ' && c <= '~' && c != '+';
  });
}

Result<NoteVerifier> NoteVerifier::FromPublicKey(std::string name,
                                                 const Ed25519Public& key) {
  if (!IsKeyName(name)) {
    return Fail(ErrorCode::kConfigInvalid, "not a key name");
  }
  NoteVerifier verifier;
  verifier.key_.reset(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr,
                                                  key.data(), key.size()),
                      EVP_PKEY_free);
  if (!verifier.key_) {
    (void)OpensslError();
    return Fail(ErrorCode::kConfigInvalid, "not an Ed25519 key");
  }
  verifier.key_id_ = KeyIdOf(name, key);
  verifier.name_ = std::move(name);
  verifier.public_key_ = key;
  return verifier;
}

Result<NoteVerifier> NoteVerifier::FromVkey(std::string_view vkey) {
  const auto fail = [](const char* why) {
    return Fail(ErrorCode::kConfigInvalid, why);
  };
  while (vkey.ends_with('\n')) vkey.remove_suffix(1);
  const size_t first = vkey.find('+');
  // The base64 part may hold '+' as well.
  const size_t second =
      first == std::string_view::npos ? first : vkey.find('+', first + 1);
  if (second == std::string_view::npos) {
    return fail("verifier key is not NAME+ID+KEY");
  }
  const auto id = FromHex(vkey.substr(first + 1, second - first - 1));
  const auto data = FromBase64(vkey.substr(second + 1));
  Ed25519Public key;
  if (!id || !data || data->size() != key.size() + 1 ||
      data->front() != kEd25519Type) {
    return fail("verifier key is not an Ed25519 one");
  }
  std::copy(data->begin() + 1, data->end(), key.begin());
  CS_ASSIGN_OR_RETURN(NoteVerifier verifier,
                      FromPublicKey(std::string(vkey.substr(0, first)), key));
  if (!Equal(*id, verifier.key_id_)) {
    return fail("verifier key's ID is not that of its name and key");
  }
  return verifier;
}

std::string NoteVerifier::ToVkey() const {
  Bytes data{kEd25519Type};
  data.insert(data.end(), public_key_.begin(), public_key_.end());
  return name_ + "+" + ToHex(key_id_) + "+" + ToBase64(data);
}

bool NoteVerifier::Verify(ByteSpan message, ByteSpan signature) const {
  const EvpMdCtxPtr context(EVP_MD_CTX_new());
  const bool holds =
      context &&
      EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr,
                           key_.get()) == 1 &&
      EVP_DigestVerify(context.get(), signature.data(), signature.size(),
                       message.data(), message.size()) == 1;
  if (!holds) (void)OpensslError();
  return holds;
}

LedgerKey::LedgerKey(EvpPkeyPtr key, NoteVerifier verifier)
    : key_(std::move(key)), verifier_(std::move(verifier)) {}

Result<LedgerKey> LedgerKey::FromKey(std::string name, EvpPkeyPtr key) {
  Ed25519Public public_key;
  size_t size = public_key.size();
  if (!key || EVP_PKEY_is_a(key.get(), "ED25519") != 1 ||
      EVP_PKEY_get_raw_public_key(key.get(), public_key.data(), &size) != 1) {
    (void)OpensslError();
    return Fail(ErrorCode::kConfigInvalid, "not an Ed25519 private key");
  }
  CS_ASSIGN_OR_RETURN(NoteVerifier verifier,
                      NoteVerifier::FromPublicKey(std::move(name), public_key));
  return LedgerKey(std::move(key), std::move(verifier));
}

Result<LedgerKey> LedgerKey::Generate(std::string name) {
  return FromKey(std::move(name),
                 EvpPkeyPtr(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519")));
}

Result<LedgerKey> LedgerKey::FromPem(std::string name, std::string_view pem) {
  const BioPtr bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  const Pkcs8Ptr pkcs8(bio ? PEM_read_bio_PKCS8_PRIV_KEY_INFO(
                                 bio.get(), nullptr, nullptr, nullptr)
                           : nullptr);
  return FromKey(std::move(name),
                 EvpPkeyPtr(pkcs8 ? EVP_PKCS82PKEY(pkcs8.get()) : nullptr));
}

Secret LedgerKey::ToPem() const {
  const BioPtr bio(BIO_new(BIO_s_mem()));
  if (!bio ||
      PEM_write_bio_PKCS8PrivateKey(bio.get(), key_.get(), nullptr, nullptr, 0,
                                    nullptr, nullptr) != 1) {
    std::abort();  // Out of memory.
  }
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return Secret(ToBytes(AsBytes({data, static_cast<size_t>(size)})));
}

Result<Ed25519Signature> LedgerKey::Sign(ByteSpan message) const {
  const EvpMdCtxPtr context(EVP_MD_CTX_new());
  Ed25519Signature signature;
  size_t size = signature.size();
  if (!context ||
      EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr,
                         key_.get()) != 1 ||
      EVP_DigestSign(context.get(), signature.data(), &size, message.data(),
                     message.size()) != 1) {
    return Fail(ErrorCode::kInternal, "cannot sign: " + OpensslError());
  }
  return signature;
}

Result<std::string> SignNote(std::string_view text, const LedgerKey& key) {
  if (!IsNoteText(text)) return Invalid("text is not that of a note");
  CS_ASSIGN_OR_RETURN(const Ed25519Signature signature,
                      key.Sign(AsBytes(text)));
  const NoteVerifier& verifier = key.verifier();
  Bytes data = ToBytes(verifier.key_id());
  data.insert(data.end(), signature.begin(), signature.end());
  std::string note(text);
  note.append("\n").append(kSignaturePrefix).append(verifier.name());
  return note.append(" ").append(ToBase64(data)).append("\n");
}

Result<OpenedNote> OpenNote(std::string_view note,
                            std::span<const NoteVerifier> verifiers) {
  if (note.size() > kMaxNoteSize) return Invalid("the note is too long");
  if (!IsNoteText(note)) return Invalid("not the text of a note");
  const size_t split = note.rfind("\n\n");
  if (split == std::string_view::npos || split + 2 == note.size()) {
    return Invalid("the note has no signatures");
  }
  OpenedNote opened{std::string(note.substr(0, split + 1)), {}};
  std::string_view lines = note.substr(split + 2);
  std::set<const NoteVerifier*> seen;
  for (size_t count = 1; !lines.empty(); ++count) {
    if (count > kMaxNoteSignatures) return Invalid("too many signatures");
    CS_ASSIGN_OR_RETURN(const SignatureLine line,
                        ParseSignatureLine(TakeLine(lines)));
    const NoteVerifier* verifier = FindVerifier(line, verifiers);
    if (verifier == nullptr || !seen.insert(verifier).second) continue;
    if (!verifier->Verify(AsBytes(opened.text),
                          ByteSpan(line.signature).subspan(sizeof(KeyId)))) {
      return Invalid("a signature of a trusted key does not hold");
    }
    opened.signers.push_back(verifier->name());
  }
  if (opened.signers.empty()) return Invalid("no trusted key signed the note");
  return opened;
}

}  // namespace countersign::ledger
