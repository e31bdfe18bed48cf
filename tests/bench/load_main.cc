// bench-load: loads one countersignd, on demand, so that several daemons can
// be measured in turns.
//
//   bench-load --socket PATH [--audience URI] [--tcti TCTI --key HANDLE]
//
// Reads commands from standard input and answers each with a line of JSON:
//   flood OUTSTANDING WARM_UP_S WINDOW_S
//   count OUTSTANDING COUNT
//   rate PER_SECOND SECONDS
//   pairs COUNT    a bare TPM2_Quote and one action in turns
#include <getopt.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>

#include "tests/bench/load_client.h"
#include "tests/bench/raw_quote.h"

namespace countersign::bench {
namespace {

using Json = nlohmann::json;

double Quantile(std::vector<double> values, double q) {
  if (values.empty()) return 0;
  std::ranges::sort(values);
  const auto last = static_cast<double>(values.size() - 1);
  return values[static_cast<size_t>(q * last + 0.5)];
}

Json ToJson(const Measurement& seen) {
  return {{"completed", seen.completed},
          {"seconds", seen.seconds},
          {"per_second",
           seen.seconds > 0 ? static_cast<double>(seen.completed) / seen.seconds
                            : 0},
          {"all", seen.all},
          {"p50_ms", Quantile(seen.latencies_ms, 0.5)},
          {"p95_ms", Quantile(seen.latencies_ms, 0.95)},
          {"max_ms", Quantile(seen.latencies_ms, 1)}};
}

Result<Json> Pairs(RawQuote& raw, LoadClient& client, size_t count) {
  std::vector<double> quotes;
  std::vector<double> actions;
  std::vector<double> ratios;
  for (size_t i = 0; i < count; ++i) {
    CS_ASSIGN_OR_RETURN(const double quote, raw.Once());
    CS_ASSIGN_OR_RETURN(const double action, client.One());
    quotes.push_back(quote);
    actions.push_back(action);
    ratios.push_back(action / quote);
  }
  return Json{{"quote_ms", Quantile(quotes, 0.5)},
              {"action_ms", Quantile(actions, 0.5)},
              {"action_p95_ms", Quantile(actions, 0.95)},
              {"ratio", Quantile(ratios, 0.5)}};
}

Result<Json> Execute(const std::string& line, LoadClient& client,
                     std::optional<RawQuote>& raw) {
  std::istringstream words(line);
  std::string verb;
  double a = 0;
  double b = 0;
  double c = 0;
  words >> verb >> a >> b >> c;
  const auto number = static_cast<size_t>(a);
  if (verb == "pairs" && raw.has_value()) return Pairs(*raw, client, number);
  Result<Measurement> seen = Fail(ErrorCode::kBadRequest, line);
  if (verb == "flood") seen = client.Flood(number, Seconds(b), Seconds(c));
  if (verb == "count") seen = client.Count(number, static_cast<size_t>(b));
  if (verb == "rate") seen = client.AtRate(a, Seconds(b));
  if (!seen.has_value()) return tl::unexpected(std::move(seen).error());
  return ToJson(*seen);
}

Status Run(const LoadClient::Options& options, const std::string& tcti,
           uint32_t key) {
  std::optional<RawQuote> raw;
  if (!tcti.empty()) {
    CS_ASSIGN_OR_RETURN(raw, RawQuote::Open(tcti, key));
  }
  CS_ASSIGN_OR_RETURN(const auto client, LoadClient::Connect(options));
  for (std::string line; std::getline(std::cin, line);) {
    CS_ASSIGN_OR_RETURN(const Json answer, Execute(line, *client, raw));
    std::cout << answer.dump() << std::endl;
  }
  return {};
}

}  // namespace
}  // namespace countersign::bench

int main(int argc, char** argv) {
  using namespace countersign;
  const option options[] = {{"socket", required_argument, nullptr, 's'},
                            {"audience", required_argument, nullptr, 'a'},
                            {"tcti", required_argument, nullptr, 't'},
                            {"key", required_argument, nullptr, 'k'},
                            {nullptr, 0, nullptr, 0}};
  bench::LoadClient::Options load;
  std::string tcti;
  uint32_t key = 0;
  int given = 0;
  while ((given = getopt_long(argc, argv, "", options, nullptr)) != -1) {
    if (given == '?') return 2;
    if (given == 's') load.socket = optarg;
    if (given == 'a') load.audience = optarg;
    if (given == 't') tcti = optarg;
    if (given == 'k') {
      key = static_cast<uint32_t>(std::strtoul(optarg, nullptr, 0));
    }
  }
  const Status status = bench::Run(load, tcti, key);
  if (status.has_value()) return 0;
  std::fprintf(stderr, "bench-load: %s: %s\n",
               std::string(Name(status.error().code)).c_str(),
               status.error().detail.c_str());
  return 1;
}
