// SPDX-License-Identifier: Apache-2.0
//! The contract of the client programs, for Rust; as ../python/contract.py. A chapter is a function of a URL that
//! returns what the client saw; an asynchronous one is run to its end by the caller.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::time::{Duration, Instant};

pub type Seen = Vec<String>;
type Routes = BTreeMap<String, i64>;

#[allow(dead_code)]
pub const KINDS: &str = "bool int2 int4 int8 numeric float4 float8 money oid text varchar bpchar char name bytea date \
    time timetz timestamp timestamptz interval uuid json jsonb jsonpath xml inet cidr macaddr macaddr8 bit varbit \
    point line lseg box path polygon circle int4range int8range numrange tsrange tstzrange daterange int4multirange \
    tsvector tsquery pg_lsn int4_array text_array numeric_array timestamptz_array matrix enum domain composite";

pub struct Contract {
    pgcache: String,
    origin: String,
    admin: String,
    failed: bool,
}

impl Contract {
    pub fn start(client: &str, version: &str) -> Self {
        let mut arguments = std::env::args().skip(1);
        let mut next = || arguments.next().expect("PGCACHE_URL ORIGIN_URL ADMIN_URL");
        println!("client {client} {version}");
        Contract { pgcache: next(), origin: next(), admin: next(), failed: false }
    }

    fn routes(&self) -> Routes {
        let host = self.admin.trim_start_matches("http://");
        let mut stream = TcpStream::connect(host).expect("the admin endpoint");
        write!(stream, "GET /metrics HTTP/1.0\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let mut counts = Routes::new();
        for line in text.lines() {
            let Some((sample, value)) = line.rsplit_once(' ') else { continue };
            let name = if sample == "pgcache_blocks_local_total" {
                "local".to_string()
            } else if sample.starts_with("pgcache_queries_total{") {
                let labels: Vec<&str> = sample.split('"').collect();
                [labels[1], labels[3]].join(":").trim_end_matches(':').to_string()
            } else {
                continue;
            };
            *counts.entry(name).or_default() += value.parse::<f64>().unwrap() as i64;
        }
        counts
    }

    fn attempt(&self, work: &dyn Fn(&str) -> Seen, expected: &Seen) -> Routes {
        let before = self.routes();
        let seen = work(&self.pgcache);
        for (i, (a, b)) in expected.iter().zip(&seen).enumerate() {
            assert_eq!(a, b, "item {i}: from the origin, and through pgcache");
        }
        assert_eq!(expected.len(), seen.len());
        let mut taken = self.routes();
        for (name, n) in &mut taken {
            *n -= before.get(name).unwrap_or(&0);
        }
        taken.retain(|_, n| *n != 0);
        taken
    }

    fn wanted(taken: &Routes, hits: i64, local: i64) -> bool {
        let of = |name: &str| *taken.get(name).unwrap_or(&0);
        let missed = taken.keys().any(|name| name == "miss" || name.starts_with("fallback"));
        hits == 0 || (of("hit") >= hits && of("local") >= local && !missed)
    }

    /// Runs it at the origin and through pgcache; hits and local as in the Python contract.
    pub fn chapter(&mut self, name: &str, hits: i64, local: i64, work: &dyn Fn(&str) -> Seen) {
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let expected = work(&self.origin);
            let deadline = Instant::now() + Duration::from_secs(15);
            loop {
                let taken = self.attempt(work, &expected);
                if Self::wanted(&taken, hits, local) {
                    return taken;
                }
                assert!(Instant::now() < deadline, "routes {taken:?}, wanted at least hit {hits} local {local}, no miss");
                std::thread::sleep(Duration::from_millis(100));
            }
        }));
        match outcome {
            Ok(mut taken) => {
                let (hit, local) = (taken.remove("hit").unwrap_or(0), taken.remove("local").unwrap_or(0));
                let others: String = taken.iter().map(|(route, n)| format!(" {route} {n}")).collect();
                println!("ok {name} hits {hit} local {local}{others}");
            }
            Err(_) => {
                self.failed = true;
                println!("FAILED {name}: see above");
            }
        }
    }

    pub fn finish(self) {
        std::process::exit(self.failed as i32);
    }
}
