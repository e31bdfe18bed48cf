// Certificate chains: nothing that the manufacturer did not sign is trusted.
// The input is certificates, each behind a 16-bit length; they are judged
// against the key that the first one names, to get past that check.
#include "attest/base/big_endian.h"
#include "attest/verifier/certificate.h"
#include "attest/verifier/ek_chain_verifier.h"
#include "tests/fakes/ek_ca.h"
#include "tests/fuzz/fuzz_input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace countersign;
  static const auto* root = new fakes::EkCa;
  static const auto* trust = new verifier::EkTrust(
      verifier::EkTrust::FromDer(std::vector<Bytes>{root->certificate()},
                                 std::vector<Bytes>{root->Crl(7)})
          .value());
  BigEndianReader reader({data, size});
  std::vector<Bytes> chain;
  while (!reader.AtEnd() && reader.ok()) {
    chain.push_back(ToBytes(reader.Sized16(0xffff)));
  }
  if (chain.empty()) return 0;
  const X509Ptr leaf = verifier::ParseCertificate(chain.front());
  EVP_PKEY* key = leaf == nullptr ? nullptr : X509_get0_pubkey(leaf.get());
  if (key == nullptr) return 0;
  const auto ek = tpm::PublicArea::FromKey(key, {});
  if (!ek) return 0;
  FuzzCheck(!verifier::VerifyEkChain(*ek, chain, *trust, fakes::kCaNowMs)
                 .has_value());
  return 0;
}
