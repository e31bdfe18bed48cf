#include "tests/fakes/postgres_server.h"

#include <fcntl.h>
#include <libpq-fe.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <thread>

namespace countersign::fakes {
namespace {

constexpr int kNotInstalled = 77;

[[noreturn]] void Die(const std::string& why) {
  std::fprintf(stderr, "postgres: %s\n", why.c_str());
  std::abort();
}

// True once `uri` answers.
bool Answers(const std::string& uri) {
  return PQping(uri.c_str()) == PQPING_OK;
}

// In memory where there is room for it: a hundred databases cost a disk more
// than the tests do. A crash of the server is the same there; one of the
// machine is not what they try.
std::filesystem::path Base() {
  constexpr uintmax_t kEnough = 2ull << 30;
  std::error_code none;
  const auto room = std::filesystem::space("/dev/shm", none);
  if (!none && room.available > kEnough) return "/dev/shm";
  return std::filesystem::temp_directory_path();
}

}  // namespace

PostgresServer* PostgresServer::Get() {
  static const std::unique_ptr<PostgresServer> server(new PostgresServer);
  return server->pid_ > 0 ? server.get() : nullptr;
}

PostgresServer::PostgresServer() {
  std::string pattern = (Base() / "postgres-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) Die("no folder");
  folder_ = pattern;
  Start();
}

PostgresServer::~PostgresServer() {
  if (pid_ > 0) {
    Kill();
  }
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

void PostgresServer::Start() {
  const char* source = ::getenv("COUNTERSIGN_SOURCE");
  const std::string script = std::string(source == nullptr ? "." : source) +
                             "/tests/fakes/postgres.sh";
  const std::string log = folder_ + ".log";
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, log.c_str(),
                                   O_WRONLY | O_CREAT | O_APPEND, 0600);
  posix_spawn_file_actions_adddup2(&files, STDOUT_FILENO, STDERR_FILENO);
  const char* const arguments[] = {script.c_str(), folder_.c_str(), nullptr};
  const int failed =
      ::posix_spawn(&pid_, script.c_str(), &files, nullptr,
                    const_cast<char* const*>(arguments), environ);
  posix_spawn_file_actions_destroy(&files);
  if (failed != 0) Die(script + " does not start");
  const auto deadline =
      std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!Answers(admin_uri())) {
    int status = 0;
    if (::waitpid(pid_, &status, WNOHANG) == pid_) {
      pid_ = -1;
      if (WIFEXITED(status) && WEXITSTATUS(status) == kNotInstalled) return;
      Die("has ended; see " + log);
    }
    if (std::chrono::steady_clock::now() > deadline) Die("does not answer");
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  std::filesystem::remove(log);
}

void PostgresServer::Wait() {
  int status = 0;
  ::waitpid(pid_, &status, 0);
  pid_ = -1;
}

// SIGQUIT is the server's "immediate shutdown": the next start recovers.
void PostgresServer::Kill() {
  ::kill(pid_, SIGQUIT);
  Wait();
}

std::string PostgresServer::Uri(const std::string& database) const {
  return "postgresql:///" + database + "?host=" + folder_ + "&user=countersign";
}

std::string PostgresServer::NewDatabase() {
  const std::string name = "test" + std::to_string(++databases_);
  Execute(admin_uri(), "CREATE DATABASE " + name);
  return Uri(name);
}

std::string PostgresServer::Execute(const std::string& database_uri,
                                    const std::string& sql) {
  PGconn* connection = PQconnectdb(database_uri.c_str());
  PGresult* result = PQexec(connection, sql.c_str());
  const ExecStatusType status = PQresultStatus(result);
  if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
    Die(sql + ": " + PQerrorMessage(connection));
  }
  std::string value;
  if (PQntuples(result) > 0 && PQnfields(result) > 0) {
    value = PQgetvalue(result, 0, 0);
  }
  PQclear(result);
  PQfinish(connection);
  return value;
}

}  // namespace countersign::fakes
