// A real PostgreSQL server of the test program's own: tests/fakes/postgres.sh
// in a temporary folder, on a socket there. Started by the first test that
// asks for it, stopped with the program.
#ifndef COUNTERSIGN_TESTS_FAKES_POSTGRES_SERVER_H_
#define COUNTERSIGN_TESTS_FAKES_POSTGRES_SERVER_H_

#include <sys/types.h>

#include <string>
#include <vector>

namespace countersign::fakes {

class PostgresServer {
 public:
  // Null if no PostgreSQL is installed: skip the test then. Aborts if one is
  // and does not start.
  [[nodiscard]] static PostgresServer* Get();
  ~PostgresServer();
  PostgresServer(const PostgresServer&) = delete;
  PostgresServer& operator=(const PostgresServer&) = delete;

  // The URI of a new, empty database.
  [[nodiscard]] std::string NewDatabase();
  // Runs one statement as the server's superuser and gives the first column
  // of its first row. Aborts if it fails.
  std::string Execute(const std::string& database_uri, const std::string& sql);
  [[nodiscard]] std::string admin_uri() const { return Uri("postgres"); }

  void Start();
  // As a crash: without a checkpoint, and without a word to its clients.
  void Kill();

 private:
  PostgresServer();
  [[nodiscard]] std::string Uri(const std::string& database) const;
  void Wait();

  std::string folder_;
  pid_t pid_ = -1;
  int databases_ = 0;
};

}  // namespace countersign::fakes

#endif  // COUNTERSIGN_TESTS_FAKES_POSTGRES_SERVER_H_
