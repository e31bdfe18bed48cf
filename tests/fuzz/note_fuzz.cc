// Signed notes, verifier keys and checkpoints.
#include <string>

#include "attest/ledger/checkpoint.h"
#include "tests/fuzz/fuzz_input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace countersign;
  static const auto key = ledger::LedgerKey::Generate("log.example").value();
  const std::string_view text = FuzzText(data, size);

  FuzzCheck(!ledger::OpenCheckpoint(text, key.verifier()));
  if (const auto verifier = ledger::NoteVerifier::FromVkey(text)) {
    FuzzCheck(text.starts_with(verifier->ToVkey()) ||
              text.starts_with(verifier->name()));
  }
  if (const auto checkpoint = ledger::ParseCheckpoint(text)) {
    FuzzCheck(text.starts_with(ledger::FormatCheckpoint(*checkpoint)));
  }
  // What can be signed can be opened, and nothing but it comes out.
  if (const auto note = ledger::SignNote(text, key)) {
    const auto opened = ledger::OpenNote(*note, {&key.verifier(), 1});
    FuzzCheck(opened ? opened->text == text
                     : note->size() > ledger::kMaxNoteSize);
    // A hostile line below a good signature never adds a signer.
    const auto more =
        ledger::OpenNote(*note + std::string(text), {&key.verifier(), 1});
    if (more) FuzzCheck(more->signers.size() == 1);
  }
  return 0;
}
