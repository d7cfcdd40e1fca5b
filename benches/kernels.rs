//! Kernels by what they are asked, a chunk or a page at a time, warm: nanoseconds, bytes a second. Each is held against
//! a plain loop before it is timed. `HEADCOUNT_SIMD=baseline|avx2|avx512 cargo bench --bench kernels` lowers the level.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use headcount::query::kernels::{self, CodeSet, Term};
use std::hint::black_box;
use storage::column::{Codes, Page};
use storage::container::{Bits, ContainerRef, bit, set_bit};
use storage::ids::{CHUNK_WORDS, PAGE_WORDS};

/// The same numbers at every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A share of a chunk's ids, sorted.
    fn ids(&mut self, per_mille: u64) -> Vec<u16> {
        (0..=u16::MAX).filter(|_| self.next() % 1000 < per_mille).collect()
    }

    fn bits(&mut self, per_mille: u64) -> Box<Bits> {
        let mut bits = Box::new([0; CHUNK_WORDS]);
        self.ids(per_mille).into_iter().for_each(|low| set_bit(&mut bits, low));
        bits
    }
}

fn words(criterion: &mut Criterion) {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let all: Vec<Box<Bits>> = (0..20).map(|_| random.bits(300)).collect();
    let mut group = criterion.benchmark_group("kernel");
    for n in [2, 5] {
        let terms: Vec<Term<'_>> = all[..n].iter().map(|bits| (&**bits, 0)).collect();
        let naive = (0..=u16::MAX).filter(|low| all[..n].iter().all(|bits| bit(bits, *low))).count();
        assert_eq!(kernels::and_terms_count(&terms) as usize, naive);
        group.throughput(Throughput::Bytes(n as u64 * 8192));
        group.bench_function(format!("count_and_of_{n}_dense"), |b| {
            b.iter(|| kernels::and_terms_count(black_box(&terms)))
        });
    }
    let dense: Vec<&Bits> = all.iter().map(|bits| &**bits).collect();
    let naive = (0..=u16::MAX).filter(|low| dense.iter().any(|bits| bit(bits, *low))).count();
    let mut out = Box::new([0; CHUNK_WORDS]);
    kernels::or_all(&dense, &mut out);
    assert_eq!(kernels::count(&out) as usize, naive);
    group.throughput(Throughput::Bytes(20 * 8192));
    group.bench_function("or_of_20_dense", |b| {
        b.iter(|| {
            out.fill(0);
            kernels::or_all(black_box(&dense), &mut out);
            kernels::count(&out)
        });
    });
    group.finish();
}

fn ids(criterion: &mut Criterion) {
    let mut random = Random(0x1234_5678_9ABC_DEF1);
    let mut group = criterion.benchmark_group("kernel");
    for (name, a, b) in [("1_and_1_percent", 10, 10), ("0.1_and_5_percent", 1, 50)] {
        let (a, b) = (random.ids(a), random.ids(b));
        let naive = a.iter().filter(|low| b.contains(low)).count();
        assert_eq!(kernels::count_in_ids(ContainerRef::Array(&b), &a) as usize, naive);
        group.throughput(Throughput::Elements((a.len() + b.len()) as u64));
        group.bench_function(format!("count_ids_of_{name}"), |bench| {
            bench.iter(|| kernels::count_in_ids(ContainerRef::Array(black_box(&b)), black_box(&a)));
        });
    }
    let (few, bits) = (random.ids(10), random.bits(300));
    assert_eq!(
        kernels::count_in_bits(ContainerRef::Array(&few), &bits) as usize,
        few.iter().filter(|low| bit(&bits, **low)).count()
    );
    group.throughput(Throughput::Elements(few.len() as u64));
    group.bench_function("count_ids_in_dense", |b| {
        b.iter(|| kernels::count_in_bits(ContainerRef::Array(black_box(&few)), black_box(&bits)));
    });
    for per_mille in [5, 300] {
        let ids = random.ids(per_mille);
        let mut bits = Box::new([0; CHUNK_WORDS]);
        ids.iter().for_each(|low| set_bit(&mut bits, *low));
        let mut out = Vec::new();
        kernels::push_bits(&bits, ids.len() as u32, &mut out);
        assert_eq!(out, ids);
        group.throughput(Throughput::Elements(ids.len() as u64));
        group.bench_function(format!("ids_of_bits_{per_mille}_per_mille"), |b| {
            b.iter(|| {
                out.clear();
                kernels::push_bits(black_box(&bits), ids.len() as u32, &mut out);
            });
        });
    }
    group.finish();
}

fn codes(criterion: &mut Criterion) {
    let mut random = Random(0xFEED_F00D_0123_4567);
    let u8s: Vec<u8> = (0..4096).map(|_| (random.next() % 101) as u8).collect();
    let u16s: Vec<u16> = (0..4096).map(|_| (random.next() % 341) as u16).collect();
    let days: Vec<u16> = (0..4096).map(|_| (random.next() % 25_000) as u16).collect();
    let u32s: Vec<u32> = (0..4096).map(|_| (random.next() % 5_000_000) as u32).collect();
    let page = |max_code, codes| Page { base: 0, max_code, codes };
    let pages = [
        ("u8", page(100, Codes::U8(&u8s)), 30, 49),
        ("u16", page(340, Codes::U16(&u16s)), 30, 60),
        ("u32", page(5_000_000, Codes::U32(&u32s)), 50_000, 200_000),
    ];
    let mut group = criterion.benchmark_group("kernel");
    let mut out = [0; PAGE_WORDS];
    let marked = |out: &[u64; PAGE_WORDS]| out.iter().map(|word| word.count_ones() as usize).sum::<usize>();
    group.throughput(Throughput::Elements(4096));
    for (width, page, low, high) in &pages {
        let passing = (0..4096).filter(|slot| (*low..=*high).contains(&page.code(*slot))).count();
        kernels::range(page, *low, *high, &mut out);
        assert_eq!(marked(&out), passing);
        group.bench_function(format!("range_over_page_{width}"), |b| {
            b.iter(|| kernels::range(black_box(page), *low, *high, &mut out));
        });
        let members = [0x5555_5555_5555_5555; PAGE_WORDS];
        let sum: u128 = (0..4096).step_by(2).map(|slot| u128::from(page.code(slot))).sum();
        assert_eq!(kernels::sums(page, &members).sum, sum);
        group.bench_function(format!("sums_over_page_{width}"), |b| {
            b.iter(|| kernels::sums(black_box(page), black_box(&members)));
        });
    }
    let set = CodeSet::new(0, 30_000, |value| value % 17 == 3);
    for (name, page) in [("u8", pages[0].1), ("u16", pages[1].1), ("days", page(25_000, Codes::U16(&days)))] {
        let passing = (0..4096).filter(|slot| page.value(*slot).is_some_and(|value| value % 17 == 3)).count();
        kernels::lookup(&page, &set, &mut out);
        assert_eq!(marked(&out), passing);
        group.bench_function(format!("look_up_of_page_{name}"), |b| {
            b.iter(|| kernels::lookup(black_box(&page), black_box(&set), &mut out));
        });
    }
    let mut hashes = [0; 4096];
    group.bench_function("bucket_hashes_of_page", |b| {
        b.iter(|| {
            kernels::bucket_hashes(black_box(7), black_box(4096), &mut hashes);
            kernels::range_u32(&hashes, 0, u32::MAX / 100, &mut out);
        });
    });
    assert!((0u32..).zip(hashes).all(|(at, hash)| hash == kernels::bucket_hash(7, 4096 + at)));
    group.finish();
}

criterion_group! {
    name = all;
    config = Criterion::default().sample_size(30).measurement_time(std::time::Duration::from_millis(600))
        .warm_up_time(std::time::Duration::from_millis(200));
    targets = words, ids, codes
}
criterion_main!(all);
