#include "attest/authz/oauth/routes.h"

#include "attest/authz/oauth/form.h"
#include "attest/authz/oauth/introspection.h"
#include "attest/authz/oauth/metadata.h"
#include "attest/authz/oauth/names.h"
#include "attest/authz/oauth/token_exchange.h"
#include "attest/authz/wire.h"
#include "attest/statement/limits.h"

namespace countersign::authz {

std::vector<Route> OAuthRoutes(const Service& service,
                               StatusLists& status_lists) {
  using enum Authentication;
  using View = std::string_view;
  return {
      {"POST", kTokenPath, kOAuthClient, Form::kMaxBody,
       [&service](const Request& request, View) {
         return ExchangeToken(service, request);
       }},
      {"POST", kIntrospectPath, kOAuthClient, Form::kMaxBody,
       [&service](const Request& request, View) {
         return IntrospectToken(service, request);
       }},
      {"POST", kRevokePath, kOAuthClient, Form::kMaxBody,
       [&service](const Request& request, View) {
         return RevokeToken(service, request);
       }},
      {"POST", "/v1/reports", kOAuthClient, statement::kMaxSmallBodySize,
       [&service](const Request& request, View) {
         return ReportUse(service, request);
       }},
      {"GET", "/v1/status/{segment}", kPublic, 0,
       [&status_lists](const Request&, View segment) {
         return status_lists.Get(segment);
       }},
      {"GET", kMetadataPath, kPublic, 0,
       [&service](const Request&, View) {
         Response response = JsonResponse(MetadataJson(service.config.issuer));
         response.cache_control = "public, max-age=300";
         return response;
       }},
  };
}

}  // namespace countersign::authz
