#include "tests/fakes/ek_ca.h"

#include <openssl/conf.h>
#include <openssl/x509v3.h>

#include <cstdlib>
#include <iostream>

#include "tests/fakes/tpm_bytes.h"

namespace countersign::fakes {
namespace {

using ExtensionPtr =
    std::unique_ptr<X509_EXTENSION, OpensslDeleter<X509_EXTENSION_free>>;
using CrlPtr = std::unique_ptr<X509_CRL, OpensslDeleter<X509_CRL_free>>;
using RevokedPtr =
    std::unique_ptr<X509_REVOKED, OpensslDeleter<X509_REVOKED_free>>;
using TimePtr = std::unique_ptr<ASN1_TIME, OpensslDeleter<ASN1_TIME_free>>;
using ConfPtr = std::unique_ptr<CONF, OpensslDeleter<NCONF_free>>;

// The subject alternative name, as TCG EK Credential Profile §3.2.9 has it.
// OpenSSL skips what stands before the first dot, so that a name may repeat.
constexpr char kConfiguration[] =
    "[tcg]\n"
    "a.2.23.133.2.1 = id:00001014\n"
    "b.2.23.133.2.2 = fake TPM\n"
    "c.2.23.133.2.3 = id:00010002\n";

void Require(bool ok, const char* what) {
  if (ok) return;
  std::cerr << what << ": " << OpensslError() << "\n";
  std::abort();
}

ConfPtr Configuration() {
  ConfPtr conf(NCONF_new(nullptr));
  const BioPtr bio(BIO_new_mem_buf(kConfiguration, -1));
  Require(NCONF_load_bio(conf.get(), bio.get(), nullptr) == 1, "configuration");
  return conf;
}

void AddExtension(X509* certificate, X509* issuer, const char* name,
                  const std::string& value) {
  const ConfPtr conf = Configuration();
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509V3_set_nconf(&context, conf.get());
  const ExtensionPtr extension(
      X509V3_EXT_nconf(conf.get(), &context, name, value.c_str()));
  Require(extension != nullptr, name);
  X509_add_ext(certificate, extension.get(), -1);
}

void SetTime(ASN1_TIME* time, int64_t ms) {
  Require(ASN1_TIME_set(time, static_cast<time_t>(ms / 1000)) != nullptr,
          "time");
}

template <auto kEncode, typename T>
Bytes ToDer(const T* object) {
  uint8_t* der = nullptr;
  const int size = kEncode(object, &der);
  Require(size > 0, "encode");
  Bytes bytes(der, der + size);
  OPENSSL_free(der);
  return bytes;
}

X509Ptr FromDer(const Bytes& der) {
  const uint8_t* next = der.data();
  return X509Ptr(d2i_X509(nullptr, &next, static_cast<long>(der.size())));
}

// The same key under the algorithm that old Infineon certificates name.
void RenameKeyAlgorithm(X509* certificate) {
  X509_PUBKEY* key = X509_get_X509_PUBKEY(certificate);
  const unsigned char* bytes = nullptr;
  int size = 0;
  X509_PUBKEY_get0_param(nullptr, &bytes, &size, nullptr, key);
  auto* copy = static_cast<unsigned char*>(OPENSSL_memdup(bytes, size));
  Require(X509_PUBKEY_set0_param(key, OBJ_txt2obj("1.2.840.113549.1.1.7", 1),
                                 V_ASN1_NULL, nullptr, copy, size) == 1,
          "RSAES-OAEP");
}

// `issuer` is null for a certificate that signs itself.
Bytes MakeCertificate(EVP_PKEY* key, const CertificateOptions& options,
                      X509* issuer, EVP_PKEY* issuer_key) {
  const X509Ptr certificate(X509_new());
  X509* x509 = certificate.get();
  X509_set_version(x509, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(x509), options.serial);
  SetTime(X509_getm_notBefore(x509), options.not_before_ms);
  SetTime(X509_getm_notAfter(x509), options.not_after_ms);
  X509_NAME_add_entry_by_txt(
      X509_get_subject_name(x509), "CN", MBSTRING_UTF8,
      reinterpret_cast<const unsigned char*>(options.subject.c_str()), -1, -1,
      0);
  X509* signer = issuer == nullptr ? x509 : issuer;
  X509_set_issuer_name(x509, X509_get_subject_name(signer));
  Require(X509_set_pubkey(x509, key) == 1, "public key");
  if (options.rsaes_oaep) RenameKeyAlgorithm(x509);
  AddExtension(x509, signer, "basicConstraints",
               options.ca ? "critical,CA:TRUE" : "critical,CA:FALSE");
  if (options.ca) {
    AddExtension(x509, signer, "keyUsage", "critical,keyCertSign,cRLSign");
  } else {
    if (!options.extended_usage.empty()) {
      AddExtension(x509, signer, "extendedKeyUsage", options.extended_usage);
    }
    if (options.tcg_name) {
      AddExtension(x509, signer, "subjectAltName", "critical,dirName:tcg");
    }
  }
  if (options.unknown_critical) {
    AddExtension(x509, signer, "1.2.3.4.5", "critical,ASN1:NULL");
  }
  Require(
      X509_sign(x509, issuer_key, options.sha1 ? EVP_sha1() : EVP_sha256()) > 0,
      "sign a certificate");
  return ToDer<i2d_X509>(x509);
}

}  // namespace

EkCa::EkCa(EvpPkeyPtr key, Bytes certificate)
    : key_(std::move(key)), certificate_(std::move(certificate)) {}

EkCa::EkCa(const std::string& name) : key_(NewEccKey("P-256")) {
  CertificateOptions options;
  options.subject = name;
  options.ca = true;
  certificate_ = MakeCertificate(key_.get(), options, nullptr, key_.get());
}

Bytes EkCa::Issue(EVP_PKEY* key, const CertificateOptions& options) const {
  return MakeCertificate(key, options, FromDer(certificate_).get(), key_.get());
}

EkCa EkCa::Intermediate(const std::string& name,
                        CertificateOptions options) const {
  options.subject = name;
  options.ca = true;
  return ImpostorWith(options);
}

EkCa EkCa::ImpostorWith(const CertificateOptions& options) const {
  EvpPkeyPtr key = NewEccKey("P-256");
  Bytes certificate = Issue(key.get(), options);
  return {std::move(key), std::move(certificate)};
}

Bytes EkCa::Crl(long serial, int64_t next_update_ms) const {
  const CrlPtr crl(X509_CRL_new());
  const TimePtr last(ASN1_TIME_new());
  const TimePtr next(ASN1_TIME_new());
  SetTime(last.get(), kCaNowMs - 2 * 86'400'000);
  SetTime(next.get(), next_update_ms);
  X509_CRL_set_version(crl.get(), X509_CRL_VERSION_2);
  X509_CRL_set_issuer_name(crl.get(),
                           X509_get_subject_name(FromDer(certificate_).get()));
  X509_CRL_set1_lastUpdate(crl.get(), last.get());
  X509_CRL_set1_nextUpdate(crl.get(), next.get());
  RevokedPtr revoked(X509_REVOKED_new());
  const std::unique_ptr<ASN1_INTEGER, OpensslDeleter<ASN1_INTEGER_free>> number(
      ASN1_INTEGER_new());
  ASN1_INTEGER_set(number.get(), serial);
  X509_REVOKED_set_serialNumber(revoked.get(), number.get());
  X509_REVOKED_set_revocationDate(revoked.get(), last.get());
  X509_CRL_add0_revoked(crl.get(), revoked.release());
  Require(X509_CRL_sign(crl.get(), key_.get(), EVP_sha256()) > 0,
          "sign a revocation list");
  return ToDer<i2d_X509_CRL>(crl.get());
}

}  // namespace countersign::fakes
