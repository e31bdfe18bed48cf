#include "attest/verifier/certificate.h"

#include <openssl/rsa.h>
#include <openssl/x509v3.h>

namespace countersign::verifier {
namespace {

constexpr const char* kRsaesOaep = "1.2.840.113549.1.1.7";

using AsnObjectPtr =
    std::unique_ptr<ASN1_OBJECT, OpensslDeleter<ASN1_OBJECT_free>>;
using GeneralNamesPtr =
    std::unique_ptr<GENERAL_NAMES, OpensslDeleter<GENERAL_NAMES_free>>;
using ExtendedUsagePtr =
    std::unique_ptr<EXTENDED_KEY_USAGE,
                    OpensslDeleter<EXTENDED_KEY_USAGE_free>>;

AsnObjectPtr Object(const char* oid) {
  return AsnObjectPtr(OBJ_txt2obj(oid, /*no_name=*/1));
}

std::string Utf8(const ASN1_STRING* value) {
  unsigned char* text = nullptr;
  const int size = ASN1_STRING_to_UTF8(&text, value);
  if (size < 0) return {};
  std::string result(reinterpret_cast<char*>(text), static_cast<size_t>(size));
  OPENSSL_free(text);
  return result;
}

std::string Attribute(const X509_NAME* name, const ASN1_OBJECT* object) {
  const int index = X509_NAME_get_index_by_OBJ(name, object, -1);
  if (index < 0) return {};
  return Utf8(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, index)));
}

EvpPkeyPtr RsaKeyOfOaep(const X509* certificate) {
  ASN1_OBJECT* algorithm = nullptr;
  const unsigned char* bytes = nullptr;
  int size = 0;
  if (X509_PUBKEY_get0_param(&algorithm, &bytes, &size, nullptr,
                             X509_get_X509_PUBKEY(certificate)) != 1 ||
      OBJ_cmp(algorithm, Object(kRsaesOaep).get()) != 0) {
    return nullptr;
  }
  return EvpPkeyPtr(d2i_PublicKey(EVP_PKEY_RSA, nullptr, &bytes, size));
}

}  // namespace

X509Ptr ParseCertificate(ByteSpan der) {
  const uint8_t* next = der.data();
  X509Ptr certificate(d2i_X509(nullptr, &next, static_cast<long>(der.size())));
  if (certificate != nullptr && next == der.data() + der.size()) {
    return certificate;
  }
  static_cast<void>(OpensslError());
  return nullptr;
}

EvpPkeyPtr SubjectKey(const X509* certificate) {
  EVP_PKEY* key = X509_get0_pubkey(certificate);
  if (key != nullptr) {
    EVP_PKEY_up_ref(key);
    return EvpPkeyPtr(key);
  }
  static_cast<void>(OpensslError());
  return RsaKeyOfOaep(certificate);
}

std::string NameText(const X509_NAME* name) {
  const BioPtr bio(BIO_new(BIO_s_mem()));
  X509_NAME_print_ex(bio.get(), name, 0, XN_FLAG_RFC2253);
  char* text = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &text);
  return {text, static_cast<size_t>(size)};
}

std::string AlternativeNameAttribute(const X509* certificate, const char* oid) {
  const GeneralNamesPtr names(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  const AsnObjectPtr object = Object(oid);
  for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type != GEN_DIRNAME) continue;
    std::string value = Attribute(name->d.directoryName, object.get());
    if (!value.empty()) return value;
  }
  return {};
}

bool HasExtendedUsage(const X509* certificate, const char* oid) {
  const ExtendedUsagePtr usages(static_cast<EXTENDED_KEY_USAGE*>(
      X509_get_ext_d2i(certificate, NID_ext_key_usage, nullptr, nullptr)));
  const AsnObjectPtr object = Object(oid);
  for (int i = 0; i < sk_ASN1_OBJECT_num(usages.get()); ++i) {
    if (OBJ_cmp(sk_ASN1_OBJECT_value(usages.get(), i), object.get()) == 0) {
      return true;
    }
  }
  return false;
}

}  // namespace countersign::verifier
