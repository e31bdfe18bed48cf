// Our side of jose_test.py, which holds tokens and keys against another
// implementation:
//   jose_exchange write DIR   writes keys, tokens and proofs of ours
//   jose_exchange read DIR    verifies those of the other implementation
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <stdexcept>
#include <string>

#include "attest/jose/dpop.h"
#include "attest/jose/jws.h"
#include "attest/ledger/note.h"

namespace countersign::jose {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kNow = 1'900'000'000;
constexpr const char* kUri = "https://files.example/notes/1";

void Write(const fs::path& path, std::string_view text) {
  std::ofstream file(path, std::ios::binary);
  file << text;
  if (!file.flush()) throw std::runtime_error("cannot write " + path.string());
}

std::string Read(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("cannot read " + path.string());
  return {std::istreambuf_iterator<char>(file), {}};
}

// The value, or the error as an exception for main.
template <typename T>
T Need(Result<T> result) {
  if (!result) {
    throw std::runtime_error(std::string(Name(result.error().code)) + ": " +
                             result.error().detail);
  }
  return *std::move(result);
}

void WriteOurs(const fs::path& dir) {
  const Es256Key key = Need(Es256Key::Generate());
  KeySet keys;
  keys.Add(key.public_key());
  const std::string claims = Read(dir / "claims.json");
  const std::string token = Need(SignJws(key, kTypGrant, claims));
  Write(dir / "jwks.json", keys.ToJson());
  Write(dir / "public.pem", key.public_key().ToPem());
  Write(dir / "private.pem", AsString(key.ToPem().Expose()));
  Write(dir / "token.jwt", token);
  Write(dir / "dpop.jwt",
        Need(CreateDpopProof(key, {"GET", kUri, token, ""}, kNow, "jti-1")));
  const auto ledger = Need(ledger::LedgerKey::Generate("log.example"));
  Write(dir / "ledger.pem", AsString(ledger.ToPem().Expose()));
  Write(dir / "ledger.vkey", ledger.verifier().ToVkey());
}

void ReadTheirs(const fs::path& dir) {
  const KeySet keys = Need(KeySet::FromJson(Read(dir / "jwks.json")));
  const std::string token = Read(dir / "token.jwt");
  const VerifiedJws verified = Need(VerifyJws(token, kTypGrant, keys));
  if (verified.claims_json != Read(dir / "claims.json")) {
    throw std::runtime_error("the claims are not those that were signed");
  }
  ExpectedDpop expected;
  expected.method = "GET";
  expected.uri = kUri;
  expected.access_token = token;
  expected.jkt = verified.kid;
  expected.now_s = kNow;
  const DpopProof proof =
      Need(VerifyDpopProof(Read(dir / "dpop.jwt"), expected));
  const Es256Key key = Need(Es256Key::FromPem(Read(dir / "private.pem")));
  if (key.kid() != proof.jkt) {
    throw std::runtime_error("the private key has another thumbprint");
  }
}

}  // namespace
}  // namespace countersign::jose

int main(int argc, char** argv) try {
  const std::string verb = argc == 3 ? argv[1] : "";
  if (verb == "write") {
    countersign::jose::WriteOurs(argv[2]);
  } else if (verb == "read") {
    countersign::jose::ReadTheirs(argv[2]);
  } else {
    std::cerr << "usage: jose_exchange write|read DIR\n";
    return 2;
  }
  return 0;
} catch (const std::exception& error) {
  std::cerr << "jose_exchange: " << error.what() << "\n";
  return 1;
}
