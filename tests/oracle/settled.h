// SPDX-License-Identifier: Apache-2.0
// The settled phase: change rows, wait until pgcache has applied the changes, then compare what it
// answers with what the origin answers. One thread; everything follows from the seed.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "oracle/answer.h"
#include "oracle/change.h"
#include "oracle/report.h"
#include "oracle/stage.h"
#include "oracle/writers.h"

namespace pgcache::oracle {

class Settled {
 public:
  Settled(Stage& stage, std::uint64_t seed, Trace& trace, Counts& counts);

  // One epoch: a new schema, then rounds until they are all done or the time is over. Throws
  // WrongAnswer.
  void epoch(std::uint64_t number, Clock::time_point deadline);
  // The same without writers and readers beside: only small changes beneath queries, so that many
  // invalidations are counted.
  void needless_epoch(std::uint64_t number, Clock::time_point deadline);

 private:
  // The same session twice: through pgcache and at the origin, with the same settings.
  struct Reader {
    Client proxy;
    Client origin;
  };
  struct PooledQuery {
    std::uint64_t structure;
    std::uint64_t values;
  };

  // A query whose answer is in the cache, or was until now.
  struct Watched {
    Query query;
    Answer answer;  // the origin's, after the last change
    bool cached = false;
  };

  void prepare(Identities identities, Random& random);
  void make_tables(Identities identities, Random& random);
  void warm_up();
  void make_readers();
  void round(Random& random);
  void alter(Random& random);
  void change_settings(Random& random);
  Query choose_query(Random& random);
  void check(Reader& reader, const Query& query);
  void check_other_form(Reader& reader, Query query);
  void compare(const Query& query, const Answer& pgcache, const Answer& origin,
               const std::string& when);
  void focus(Random& random);
  // Applies the change and compares; what a TRUNCATE invalidates is not counted.
  void watch_over(const Change& change, const Relation& relation, std::vector<Watched>& watched);
  Answer ask(Reader& reader, const Query& query, testing::Routes& routes);
  void focus_on(const Query& query, Random& random);
  void check_own_write(Random& random);
  void check_block(Random& random);
  Query choose_cacheable(Random& random);
  void change_beneath(const Query& query, Random& random);
  void warm(Client& client, const Query& query);
  void check_against_bypass(Client& client, const Query& query, const std::string& when);
  void count_repeat(const Query& query, const testing::Routes& routes);

  Stage& stage_;
  std::uint64_t seed_;
  Trace& trace_;
  Counts& counts_;
  Schema schema_;
  std::vector<PooledQuery> pool_;
  // The last one alone sends what is never cached: pgcache cannot know what that does to a session.
  std::vector<std::unique_ptr<Reader>> readers_;
  std::unique_ptr<Client> own_;    // through pgcache: reads what it wrote
  std::unique_ptr<Client> small_;  // at the origin: makes the small changes
  std::unique_ptr<Writers> writers_;
};

}  // namespace pgcache::oracle
