#include "attest/verifier/certificate.h"

#include <openssl/x509v3.h>

namespace countersign::verifier {
namespace {

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
