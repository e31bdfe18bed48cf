#!/bin/bash
# Remakes tests/vectors/tpm: what a software TPM (swtpm) and tpm2-tools make of
# the keys that the agent uses. Every run makes other bytes: the keys are new.
#
#   ek-{ecc,rsa}.pub  TPM2B_PUBLIC      ek-{ecc,rsa}.crt, ca.crt, root.crt  DER
#   ak-{ecc,rsa}.pub  TPM2B_PUBLIC, child of the EK of the same kind
#   ak-{ecc,rsa}.name, .qname           as tpm2_readpublic reports them
#   quote-{ecc,rsa}.msg, .sig, .pcrs    TPMS_ATTEST, TPMT_SIGNATURE, PCRs 0-7
#   quote-sha1.msg, .sig                over the sha1 bank, by ak-ecc
#   session.pub, session.qname          a primary of the NULL hierarchy
#   certify.msg, .sig                   of that key by ak-ecc
#   eventlog.bin                        what was measured
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=$here/tpm
swtpm=$here/../fakes/swtpm.sh
dir=$(mktemp -d)
trap '"$swtpm" stop "$dir"; rm -rf "$dir"' EXIT

"$swtpm" manufacture "$dir"
TPM2TOOLS_TCTI=$("$swtpm" start "$dir")
export TPM2TOOLS_TCTI
"$swtpm" extend "$dir"
mkdir -p "$out"
cd "$dir"

qualification=$(printf 'what was quoted' | sha256sum | cut -d' ' -f1)
ak_attributes="fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda"
ak_attributes+="|restricted|sign"
session_attributes="fixedtpm|fixedparent|sensitivedataorigin|userwithauth|noda"
session_attributes+="|sign"

# with_ek COMMAND…: runs it with -P for a session that may use the EK.
with_ek() {
  tpm2_startauthsession -Q --policy-session -S policy.ctx
  tpm2_policysecret -Q -S policy.ctx -c e
  "$@" -P session:policy.ctx
  tpm2_flushcontext -Q policy.ctx
}

# quote AK BANK NAME
quote() {
  tpm2_quote -Q -c "$1.ctx" -l "$2:0,1,2,3,4,5,6,7" -q "$qualification" \
    -m "$out/$3.msg" -s "$out/$3.sig" -f tss -g sha256
  tpm2_flushcontext -Q -t
}

# make_keys KIND ALGORITHM SCHEME
make_keys() {
  local ek=ek-$1 ak=ak-$1
  tpm2_createek -Q -G "$2" -c "$ek.ctx" -u "$out/$ek.pub" -f tss
  tpm2_flushcontext -Q -t
  with_ek tpm2_create -Q -C "$ek.ctx" -G "$3" -g sha256 -a "$ak_attributes" \
    -u "$ak.tpub" -r "$ak.tpriv"
  tpm2_flushcontext -Q -t
  with_ek tpm2_load -Q -C "$ek.ctx" -u "$ak.tpub" -r "$ak.tpriv" -c "$ak.ctx"
  tpm2_flushcontext -Q -t
  tpm2_readpublic -Q -c "$ak.ctx" -f tss -o "$out/$ak.pub" \
    -n "$out/$ak.name" -q "$out/$ak.qname"
  tpm2_flushcontext -Q -t
  quote "$ak" sha256 "quote-$1"
  tpm2_pcrread -Q sha256:0,1,2,3,4,5,6,7 -o "$out/quote-$1.pcrs"
}

make_keys ecc ecc ecc256:ecdsa-sha256:null
make_keys rsa rsa rsa2048:rsassa-sha256:null
quote ak-ecc sha1 quote-sha1

tpm2_createprimary -Q -C n -G ecc256:ecdsa-sha256:null -g sha256 \
  -a "$session_attributes" -c session.ctx
tpm2_readpublic -Q -c session.ctx -f tss -o "$out/session.pub" \
  -q "$out/session.qname"
tpm2_flushcontext -Q -t
tpm2_certify -Q -c session.ctx -C ak-ecc.ctx -g sha256 -f tss \
  -o "$out/certify.msg" -s "$out/certify.sig"

cp eventlog.bin "$out/eventlog.bin"
cp ekcerts/ek-secp256r1.crt "$out/ek-ecc.crt"
cp ekcerts/ek-rsa2048.crt "$out/ek-rsa.crt"
openssl x509 -in ca/issuercert.pem -outform der -out "$out/ca.crt"
openssl x509 -in ca/root.pem -outform der -out "$out/root.crt"
ls -l "$out"
