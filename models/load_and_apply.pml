// SPDX-License-Identifier: Apache-2.0
// How results are loaded while transactions are applied (docs of the design: src/cache/cache_impl.h),
// for Spin. README.md maps each step to the code; check.py runs it, and each of its variants.
//
// TRANSACTIONS transactions change the row that every result depends on, so each of them affects each
// result. A result is the set of the transactions that its query saw; so is a snapshot. Sets are bit
// masks. LOADERS keys are loaded again and again, one session each.
//
// Options (-D): STRICT: a commit becomes visible, and then is acknowledged, only after pgcache has
// confirmed its position. LOG_MAX=n: transactions that the log holds. COLD_STARTS=n.
// CRASH: once, the origin takes back a commit that was not flushed, and gives its id to another
// transaction (without STRICT).
// And ways to be wrong, of which each must be found: PUBLISH_WITHOUT_LOG, TRIM_TOO_EARLY,
// FORGET_SILENTLY, SNAPSHOT_BEHIND_QUERY, IGNORE_EXPORTED, KEEP_LOADS_OVER_START, LOG_BEHIND_REMOVAL,
// CONFIRM_BEFORE_APPLIED (with STRICT), RESUME_OVER_CRASH and
// DROP_OVER_CRASH (with CRASH).

#ifndef TRANSACTIONS
#define TRANSACTIONS 3
#endif
#ifndef LOADERS
#define LOADERS 2
#endif
#ifndef LOG_MAX
#define LOG_MAX TRANSACTIONS
#endif
#ifndef COLD_STARTS
#define COLD_STARTS 1
#endif

#ifdef CRASH
#define ALL_TRANSACTIONS (TRANSACTIONS + 1)
#define ID(t) ((t) + ((t) == TRANSACTIONS) * (lost - (t)))
#else
#define ALL_TRANSACTIONS TRANSACTIONS
#define ID(t) (t)
#endif

#define ONLY(t) (1 << (t))
#define LACKS(set, of) ((of) & ~(set))  // what `set` lacks of `of`

// --- the origin
byte wal[ALL_TRANSACTIONS];  // commit records, in order
byte wal_end;
byte in_wal;             // the set of them
byte visible;            // what a query sees
byte ids_in_wal;         // the same two as sets of ids, which is what a snapshot is
byte ids_visible;
byte acknowledged;
byte confirmed;          // position up to which pgcache confirmed
#ifdef CRASH
byte lost;               // whose id was given again
#endif

// --- the stream and the log
bool started;            // there is a slot
byte exported;           // the snapshot that came with it
byte position;           // next record to apply
byte streamed;           // records before it are flushed
bool down;               // the stream is: nothing is served
byte settled;            // applied, or seen by the exported snapshot: no stream will tell of it again
byte epoch;
byte log_set;
byte log_queue[ALL_TRANSACTIONS];
byte log_size;
byte forgotten;          // left the log by force

// --- snapshots and loads
bool have_current;
byte current;
bool leased[LOADERS];
byte lease[LOADERS];
bool ready[LOADERS];     // the entry of the loader's key
byte result[LOADERS];

inline forget_oldest() {
#ifndef FORGET_SILENTLY
  forgotten = forgotten | ONLY(log_queue[0]);
#endif
  log_set = log_set & ~ONLY(log_queue[0]);
  k = 1;
  do
  :: k < log_size -> log_queue[k - 1] = log_queue[k]; k++
  :: else -> break
  od;
  log_size--;
  log_queue[log_size] = 0;
  k = 0
}

inline append_to_log(t) {
  log_queue[log_size] = t;
  log_size++;
  log_set = log_set | ONLY(t);
  if
  :: log_size > LOG_MAX -> forget_oldest()
  :: else
  fi
}

// What every snapshot in use sees leaves the log, from its old end.
inline trim() {
  oldest = current;
#ifndef TRIM_TOO_EARLY
  k = 0;
  do
  :: k < LOADERS && leased[k] -> oldest = oldest & lease[k]; k++
  :: k < LOADERS && !leased[k] -> k++
  :: else -> break
  od;
  k = 0;
#endif
  forgotten = forgotten & ~oldest;
  do
  :: log_size > 0 && (oldest & ONLY(log_queue[0])) ->
     log_set = log_set & ~ONLY(log_queue[0]);
     k = 1;
     do
     :: k < log_size -> log_queue[k - 1] = log_queue[k]; k++
     :: else -> break
     od;
     log_size--;
     log_queue[log_size] = 0;
     k = 0
  :: else -> break
  od;
  oldest = 0
}

// A commit: its record is written, it becomes visible, its client hears of it. Others come in between.
proctype transaction(byte t) {
  byte end;
  atomic {
    wal[wal_end] = t;
    wal_end++;
    in_wal = in_wal | ONLY(t);
    ids_in_wal = ids_in_wal | ONLY(ID(t));
    end = wal_end
  }
#ifdef STRICT
  confirmed >= end;
#endif
  atomic { visible = visible | ONLY(t); ids_visible = ids_visible | ONLY(ID(t)) }
  acknowledged = acknowledged | ONLY(t)
}

#ifdef CRASH
proctype crash() {
  atomic {
    started && wal_end > streamed && (acknowledged & ONLY(wal[wal_end - 1])) ->
    wal_end--;
    lost = wal[wal_end];
    wal[wal_end] = 0;
    in_wal = in_wal & ~ONLY(lost);
    ids_in_wal = ids_in_wal & ~ONLY(lost);
    visible = visible & ~ONLY(lost);
    ids_visible = ids_visible & ~ONLY(lost);
    acknowledged = acknowledged & ~ONLY(lost);
    down = true;
    run transaction(TRANSACTIONS)
  }
}
#endif

// A new slot: its snapshot sees exactly the commits whose records lie before the stream's beginning,
// be they visible to others yet or not.
inline begin_stream() {
  exported = ids_in_wal;
  position = wal_end;
  streamed = wal_end;
  down = false;
  settled = in_wal;
  started = true
}

inline confirm() {
#ifdef STRICT
  if
  :: confirmed < position -> confirmed = position
  :: else
  fi
#else
  skip
#endif
}

proctype applier() {
  byte t, k, i, starts_left = COLD_STARTS;
  atomic { begin_stream(); confirm() }
  do
  :: atomic { !down && position < wal_end -> t = wal[position]; streamed = position + 1; i = 0 }
#ifdef CONFIRM_BEFORE_APPLIED
     confirmed = position + 1;
#endif
#ifndef LOG_BEHIND_REMOVAL
     atomic { append_to_log(ID(t)) }
#endif
     // In chunks, between which others are let in.
     do
     :: i < LOADERS -> atomic { ready[i] = false; result[i] = 0; i++ }
     :: else -> break
     od;
#ifdef LOG_BEHIND_REMOVAL
     atomic { append_to_log(ID(t)) }
#endif
     atomic { i = 0; position++; settled = settled | ONLY(t); t = 0 }
     atomic { confirm() }
  :: atomic {
       starts_left > 0 || down ->
       if
       :: down -> skip
       :: else -> starts_left--
       fi;
       i = 0;
       do
       :: i < LOADERS -> ready[i] = false; result[i] = 0; i++
       :: else -> break
       od;
       i = 0;
       do
       :: log_size > 0 -> log_size--; log_queue[log_size] = 0
       :: else -> break
       od;
       log_set = 0;
       forgotten = 0;
       have_current = false;
       current = 0;
       epoch++;
       begin_stream();
       confirm()
     }
#ifdef RESUME_OVER_CRASH
  :: atomic { down -> down = false }
#endif
#ifdef DROP_OVER_CRASH  // the entries, not the snapshots
  :: atomic {
       down ->
       i = 0;
       do
       :: i < LOADERS -> ready[i] = false; result[i] = 0; i++
       :: else -> break
       od;
       i = 0;
       epoch++;
       down = false
     }
#endif
  od
}

// Snapshots only ever advance, the first one beyond the exported.
proctype control() {
  byte k, oldest, floor;
  do
  :: atomic {
       started && (!have_current || current != ids_visible) ->
       if
       :: have_current -> floor = current
       :: else ->
#ifdef IGNORE_EXPORTED
          floor = 0
#else
          floor = exported
#endif
       fi;
       if
       :: LACKS(ids_visible, floor) == 0 ->
          current = ids_visible;
          have_current = true;
          trim()
       :: else
       fi;
       floor = 0
     }
  od
}

proctype loader(byte me) {
  byte seen, carried, of_epoch;
  do
  :: atomic {
       have_current && !ready[me] ->
#ifdef SNAPSHOT_BEHIND_QUERY
       seen = visible;
     }
     atomic {
       have_current;
#endif
       of_epoch = epoch;
       carried = current;
       lease[me] = carried;
       leased[me] = true
     }
#ifndef SNAPSHOT_BEHIND_QUERY
     seen = visible;  // the query's own snapshot
#endif
     atomic {  // publish
       if
#ifndef KEEP_LOADS_OVER_START
       :: of_epoch != epoch -> skip
       :: of_epoch == epoch &&
#else
       ::
#endif
#ifdef PUBLISH_WITHOUT_LOG
          true ->
#else
          LACKS(carried, log_set) == 0 && LACKS(carried, forgotten) == 0 ->
#endif
          result[me] = seen;
          ready[me] = true
       :: else -> skip
       fi;
       leased[me] = false;
       lease[me] = 0;
       seen = 0;
       carried = 0;
       of_epoch = 0
     }
  od
}

// A Ready entry that lacks a change that was applied, or that no stream will tell of, stays wrong.
// So does one that has a change which the origin took back. At strict it must not lack one that
// anybody was told of either.
#ifdef STRICT
#define REQUIRED (settled | acknowledged)
#else
#define REQUIRED settled
#endif
#define WRONG(i) (ready[i] && !down && (LACKS(result[i], REQUIRED) != 0 || LACKS(in_wal, result[i]) != 0))

// Runs once something is wrong.
active proctype monitor() {
#if LOADERS == 1
  WRONG(0) -> assert(false)
#else
  (WRONG(0) || WRONG(1)) -> assert(false)
#endif
}

init {
  byte t, i;
  atomic {
    do
    :: t < TRANSACTIONS -> run transaction(t); t++
    :: else -> break
    od;
    do
    :: i < LOADERS -> run loader(i); i++
    :: else -> break
    od;
#ifdef CRASH
    run crash();
#endif
    run applier();
    run control()
  }
}
