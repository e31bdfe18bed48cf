// Signed notes with Ed25519 (C2SP signed-note, v1.0): text that several
// parties may sign, one line each.
//
//   <text, ends with a newline>
//   <empty line>
//   — NAME base64(key ID, 4 bytes ‖ signature, 64 bytes)
//
// A verifier key travels as text: NAME+hex(key ID)+base64(01 ‖ public key),
// with key ID = SHA-256(NAME ‖ 0A ‖ 01 ‖ public key)[0..4].
#ifndef COUNTERSIGN_ATTEST_LEDGER_NOTE_H_
#define COUNTERSIGN_ATTEST_LEDGER_NOTE_H_

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "attest/base/bytes.h"
#include "attest/base/openssl_ptr.h"
#include "attest/base/secret.h"

namespace countersign::ledger {

inline constexpr size_t kMaxNoteSize = 64 * 1024;
inline constexpr size_t kMaxNoteSignatures = 100;

using KeyId = std::array<uint8_t, 4>;
using Ed25519Public = std::array<uint8_t, 32>;
using Ed25519Signature = std::array<uint8_t, 64>;

// Visible ASCII without '+': what signed-note allows, and no look-alikes.
[[nodiscard]] bool IsKeyName(std::string_view name);

class NoteVerifier {
 public:
  // kConfigInvalid: not a vkey, or its key ID is not that of its key.
  [[nodiscard]] static Result<NoteVerifier> FromVkey(std::string_view vkey);
  [[nodiscard]] static Result<NoteVerifier> FromPublicKey(
      std::string name, const Ed25519Public& key);

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] const KeyId& key_id() const { return key_id_; }
  [[nodiscard]] std::string ToVkey() const;
  // RFC 8032 §5.1.7.
  [[nodiscard]] bool Verify(ByteSpan message, ByteSpan signature) const;

 private:
  NoteVerifier() = default;
  std::string name_;
  Ed25519Public public_key_{};
  KeyId key_id_{};
  std::shared_ptr<EVP_PKEY> key_;
};

// The private key that signs checkpoints. Never printed or copied.
class LedgerKey {
 public:
  // kConfigInvalid: `name` is not a key name, or `pem` (PKCS#8, unencrypted)
  // is not an Ed25519 key.
  [[nodiscard]] static Result<LedgerKey> Generate(std::string name);
  [[nodiscard]] static Result<LedgerKey> FromPem(std::string name,
                                                 std::string_view pem);
  [[nodiscard]] Secret ToPem() const;

  [[nodiscard]] const NoteVerifier& verifier() const { return verifier_; }
  [[nodiscard]] Result<Ed25519Signature> Sign(ByteSpan message) const;

 private:
  static Result<LedgerKey> FromKey(std::string name, EvpPkeyPtr key);
  LedgerKey(EvpPkeyPtr key, NoteVerifier verifier);
  EvpPkeyPtr key_;
  NoteVerifier verifier_;
};

// `text` as a note with one signature. kCheckpointInvalid: not UTF-8 or a
// control character other than newline; empty; no newline at the end.
[[nodiscard]] Result<std::string> SignNote(std::string_view text,
                                           const LedgerKey& key);

struct OpenedNote {
  std::string text;                  // With its final newline.
  std::vector<std::string> signers;  // Names whose signature holds.
};

// Opens a hostile note. Signatures by keys not in `verifiers` are ignored; a
// known key (name and ID) whose signature does not hold makes it invalid, and
// so does a note that none of `verifiers` signed. All kCheckpointInvalid.
[[nodiscard]] Result<OpenedNote> OpenNote(
    std::string_view note, std::span<const NoteVerifier> verifiers);

}  // namespace countersign::ledger

#endif  // COUNTERSIGN_ATTEST_LEDGER_NOTE_H_
