// What only a server can do to us: refuse, vanish, and keep its answer.
#include <gmock/gmock.h>
#include <libpq-fe.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <thread>

#include "attest/authz/storage/postgres/postgres_session.h"
#include "tests/attest/authz/on_each_database.h"
#include "tests/attest/authz/store_steps.h"

namespace countersign::authz {
namespace {

using testing::HasSubstr;

class PostgresStoreTest : public OnEachDatabase {
 protected:
  // Ends all sessions of the store, as an operator or a failover does.
  void Disconnect() {
    server_->Execute(database_,
                     "SELECT count(pg_terminate_backend(pid, 5000)) FROM "
                     "pg_stat_activity WHERE datname = current_database() "
                     "AND pid <> pg_backend_pid()");
  }
  std::string Execute(const std::string& sql) {
    return server_->Execute(database_, sql);
  }
};

TEST_P(PostgresStoreTest, ConnectsAgainAfterItsSessionsWereEnded) {
  const auto store = *Open();
  ASSERT_TRUE(PutSecret(*store, "a").has_value());
  EXPECT_TRUE(HasSecret(*store, "a"));
  Disconnect();
  EXPECT_TRUE(PutSecret(*store, "b").has_value());
  EXPECT_TRUE(HasSecret(*store, "b"));
}

TEST_P(PostgresStoreTest, FailsAUnitWhoseConnectionIsLost) {
  const auto store = *Open();
  const Status lost =
      store->Write([&](StoreTransaction& transaction) -> Status {
        CS_RETURN_IF_ERROR(transaction.PutSecret("a", {}));
        Disconnect();
        return transaction.FindSecret("a").map([](const auto&) {});
      });
  ASSERT_FALSE(lost.has_value());
  EXPECT_EQ(lost.error().code, ErrorCode::kStorageUnavailable);
  EXPECT_FALSE(HasSecret(*store, "a"));
  EXPECT_TRUE(PutSecret(*store, "a").has_value());
}

TEST_P(PostgresStoreTest, SaysThatALostTransactionWasNotCommitted) {
  const auto store = *Open();
  const Status lost =
      store->Write([&](StoreTransaction& transaction) -> Status {
        CS_RETURN_IF_ERROR(transaction.PutSecret("a", {}));
        EXPECT_FALSE(transaction.FindSecret("none")->has_value());
        Disconnect();
        return {};
      });
  ASSERT_FALSE(lost.has_value());
  EXPECT_EQ(lost.error().code, ErrorCode::kStorageUnavailable);
  EXPECT_THAT(lost.error().detail, HasSubstr("before the commit"));
  EXPECT_FALSE(HasSecret(*store, "a"));
}

// Between client and server; can keep the answer to a COMMIT to itself.
class Relay {
 public:
  Relay(const std::string& folder, const std::string& server_folder)
      : server_path_(server_folder + "/.s.PGSQL.5432"),
        listener_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const sockaddr_un address = AddressOf(folder + "/.s.PGSQL.5432");
    if (::bind(listener_, reinterpret_cast<const sockaddr*>(&address),
               sizeof(address)) != 0 ||
        ::listen(listener_, 8) != 0) {
      std::abort();
    }
    accepting_ = std::jthread([this] { Accept(); });
  }
  ~Relay() {
    ::shutdown(listener_, SHUT_RDWR);
    accepting_.join();
    for (const int end : ends_) ::shutdown(end, SHUT_RDWR);
    connections_.clear();
    for (const int end : ends_) ::close(end);
    ::close(listener_);
  }

  std::atomic<bool> keep_answer_of_commit = false;

 private:
  static sockaddr_un AddressOf(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof(address.sun_path) - 1);
    return address;
  }

  void Accept() {
    while (true) {
      const int client = ::accept(listener_, nullptr, nullptr);
      if (client < 0) return;
      const int server = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
      const sockaddr_un address = AddressOf(server_path_);
      if (::connect(server, reinterpret_cast<const sockaddr*>(&address),
                    sizeof(address)) != 0) {
        std::abort();
      }
      ends_.push_back(client);
      ends_.push_back(server);
      connections_.emplace_back([this, client, server] {
        while (Pass(client, server)) {
        }
        ::shutdown(client, SHUT_RDWR);
        ::shutdown(server, SHUT_RDWR);
      });
    }
  }

  // False when the connection is over.
  bool Pass(int client, int server) {
    pollfd ends[] = {{client, POLLIN, 0}, {server, POLLIN, 0}};
    if (::poll(ends, 2, -1) < 0) return false;
    char bytes[65536];
    for (int i = 0; i < 2; ++i) {
      if (ends[i].revents == 0) continue;
      const ssize_t size = ::read(ends[i].fd, bytes, sizeof(bytes));
      if (size <= 0) return false;
      const std::string_view text(bytes, static_cast<size_t>(size));
      if (::send(ends[1 - i].fd, bytes, text.size(), MSG_NOSIGNAL) != size) {
        return false;
      }
      if (i == 0 && keep_answer_of_commit &&
          text.find("COMMIT") != std::string_view::npos) {
        keep_answer_of_commit = false;
        // The server has answered, so it has committed; then the line breaks.
        return ::read(server, bytes, sizeof(bytes)) < 0;
      }
    }
    return true;
  }

  const std::string server_path_;
  const int listener_;
  std::vector<int> ends_;
  std::vector<std::jthread> connections_;
  std::jthread accepting_;
};

TEST_P(PostgresStoreTest, LearnsThatALostCommitWasDone) {
  const size_t at = database_.find("host=") + 5;
  const std::string server_folder =
      database_.substr(at, database_.find('&') - at);
  const std::string folder = folder_.Path("relay");
  std::filesystem::create_directory(folder);
  Relay relay(folder, server_folder);
  database_.replace(at, server_folder.size(), folder);
  const auto store = *Open();
  ASSERT_TRUE(PutSecret(*store, "a").has_value());
  relay.keep_answer_of_commit = true;
  int runs = 0;
  const Status written =
      store->Write([&](StoreTransaction& transaction) -> Status {
        ++runs;
        return transaction.PutSecret("b", {});
      });
  EXPECT_TRUE(written.has_value()) << written.error().detail;
  EXPECT_FALSE(relay.keep_answer_of_commit);
  EXPECT_EQ(runs, 1);
  EXPECT_TRUE(HasSecret(*store, "b"));
  EXPECT_TRUE(PutSecret(*store, "c").has_value());
}

TEST_P(PostgresStoreTest, OutlivesACrashOfTheServer) {
  const auto store = *Open();
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(PutSecret(*store, std::to_string(i)).has_value());
  }
  EXPECT_TRUE(HasSecret(*store, "0"));
  server_->Kill();
  const Status down = PutSecret(*store, "down");
  ASSERT_FALSE(down.has_value());
  EXPECT_EQ(down.error().code, ErrorCode::kStorageUnavailable);
  const Status unread = store->Read([](StoreView& view) {
    return view.FindSecret("0").map([](const auto&) {});
  });
  ASSERT_FALSE(unread.has_value());
  EXPECT_EQ(unread.error().code, ErrorCode::kStorageUnavailable);
  server_->Start();
  for (int i = 0; i < 20; ++i)
    EXPECT_TRUE(HasSecret(*store, std::to_string(i)));
  EXPECT_TRUE(PutSecret(*store, "up").has_value());
}

// F09: who waits for the head is told in the end.
TEST_P(PostgresStoreTest, SaysBusyWhileAnotherHoldsTheHeadAndHeals) {
  const auto store = *Open();
  PGconn* holder = PQconnectdb(database_.c_str());
  PQclear(PQexec(holder, "BEGIN"));
  PQclear(PQexec(holder, "SELECT 1 FROM ledger_head FOR UPDATE"));
  const Status busy = PutSecret(*store, "a");
  PQfinish(holder);
  ASSERT_FALSE(busy.has_value());
  EXPECT_EQ(busy.error().code, ErrorCode::kStorageBusy);
  EXPECT_TRUE(PutSecret(*store, "a").has_value());
}

TEST_P(PostgresStoreTest, RefusesAServerThatMayLoseCommits) {
  const std::string name = Execute("SELECT current_database()");
  Execute("ALTER DATABASE " + name + " SET synchronous_commit = off");
  const auto store = Open();
  ASSERT_FALSE(store.has_value());
  EXPECT_EQ(store.error().code, ErrorCode::kStorageUnfit);
  EXPECT_THAT(store.error().detail, HasSubstr("synchronous_commit"));
}

TEST_P(PostgresStoreTest, RefusesAnotherEncoding) {
  Execute("CREATE DATABASE ascii ENCODING 'SQL_ASCII' TEMPLATE template0");
  const size_t end = database_.find('?');
  const auto store = OpenStore("postgresql:///ascii" + database_.substr(end),
                               SqlStore::Mode::kCreate);
  ASSERT_FALSE(store.has_value());
  EXPECT_EQ(store.error().code, ErrorCode::kStorageUnfit);
}

TEST_P(PostgresStoreTest, RefusesAReadOnlyServer) {
  const std::string name = Execute("SELECT current_database()");
  Execute("ALTER DATABASE " + name + " SET default_transaction_read_only = on");
  const auto store = Open();
  ASSERT_FALSE(store.has_value());
  EXPECT_EQ(store.error().code, ErrorCode::kStorageUnavailable);
}

TEST_P(PostgresStoreTest, SaysWhenThereIsNoServerOrDatabase) {
  for (const std::string& uri :
       {std::string("postgresql:///db?host=/nonexistent"),
        "postgresql:///none" + database_.substr(database_.find('?'))}) {
    const auto store = OpenStore(uri, SqlStore::Mode::kMustExist);
    ASSERT_FALSE(store.has_value());
    EXPECT_EQ(store.error().code, ErrorCode::kStorageUnavailable);
    EXPECT_FALSE(store.error().detail.empty());
  }
}

TEST(PostgresUriTest, RefusesAPasswordAndNeverRepeatsIt) {
  for (const char* uri : {"postgresql://user:hunter2@host/db",
                          "postgresql://host/db?password=hunter2",
                          "postgresql://host/db?sslpassword=hunter2",
                          "postgresql://us er:hunter2@[host/db?x=hunter2"}) {
    const Status refused = CheckPostgresUri(uri);
    ASSERT_FALSE(refused.has_value()) << uri;
    EXPECT_EQ(refused.error().code, ErrorCode::kConfigInvalid);
    EXPECT_EQ(refused.error().detail.find("hunter2"), std::string::npos);
  }
  EXPECT_TRUE(
      CheckPostgresUri("postgresql://a@h1,h2:5433/db?sslmode=verify-full")
          .has_value());
}

INSTANTIATE_TEST_SUITE_P(OfAServer, PostgresStoreTest,
                         testing::Values(DatabaseKind::kPostgres), NameOf);

}  // namespace
}  // namespace countersign::authz
