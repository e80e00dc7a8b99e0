// What the CPU's own kernels share, those that multiply.

#include <algorithm>
#include <limits>
#include <vector>

namespace vectors {

// ---- Between rows of numbers in memory and lanes ----

// One step of transposing L x L: in every 2 x 2 blocks of S x S, two change places.
template <Long S, Long... J>
static inline void exchange(Vector* v, std::integer_sequence<Long, J...>)
{
    for (Long i = 0; i < L; ++i)
        if (!(i & S)) {
            const Vector a = v[i], b = v[i + S];
            v[i] = SHUFFLE(a, b, (J & S ? L + J - S : J)...);
            v[i + S] = SHUFFLE(a, b, (J & S ? L + J : J + S)...);
        }
}

template <Long S = 1>
static inline void transpose(Vector* v)
{
    exchange<S>(v, std::make_integer_sequence<Long, L>());
    if constexpr (2 * S < L)
        transpose<2 * S>(v);
}

// to[i * step + lane] = from[lane][at[i]], or from[lane][i] where there is no `at`; L lanes, of
// which those without a `from` are 0.
static void to_lanes(const T* const* from, const Long* at, Long count, T* to, Long step)
{
    Long i = 0;
    for (; !at && i + L <= count; i += L) {
        Vector v[L];
        for (Long l = 0; l < L; ++l)
            v[l] = from[l] ? load(from[l] + i) : Vector{};
        transpose(v);
        for (Long l = 0; l < L; ++l)
            store(to + (i + l) * step, v[l]);
    }
    for (; i < count; ++i)
        for (Long l = 0; l < L; ++l)
            to[i * step + l] = from[l] ? from[l][at ? at[i] : i] : T(0);
}

// to[lane][i] = from[i * step + lane] + bias[lane], for the first `lanes` of L lanes.
static void from_lanes(const T* from, Long step, Long count, const T* bias, T* const* to,
                       Long lanes)
{
    Long i = 0;
    for (; i + L <= count; i += L) {
        Vector v[L];
        for (Long l = 0; l < L; ++l)
            v[l] = load(from + (i + l) * step) + load(bias);
        transpose(v);
        for (Long l = 0; l < lanes; ++l)
            store(to[l] + i, v[l]);
    }
    for (; i < count; ++i)
        for (Long l = 0; l < lanes; ++l)
            to[l][i] = from[i * step + l] + bias[l];
}

// Memory that a thread keeps for its next call: new memory costs a page fault for every 4 KiB.
enum Purpose { IMAGE, SUMS, MATRICES, PURPOSES };
static T* memory_for(Purpose purpose, Long size)
{
    static thread_local std::vector<T> memory[PURPOSES];
    std::vector<T>& m = memory[purpose];
    if ((Long)m.size() < size + 64)
        m.resize(size + 64);
    return (T*)(((size_t)m.data() + 63) / 64 * 64);  // no vector in two cache lines
}

static Long pieces(Long size, Long most) { return (size + most - 1) / most; }

struct Range {
    Long first, end;
    void include(Range r) { first = std::min(first, r.first), end = std::max(end, r.end); }
    bool operator==(Range r) const { return first == r.first && end == r.end; }
};

// Part i of n of 0 ... size - 1, cut at multiples of `piece`.
static Range share(Long size, Long piece, Long i, Long n)
{
    const Long count = pieces(size, piece);
    return {std::min(size, count * i / n * piece), std::min(size, count * (i + 1) / n * piece)};
}

// work(i) for each i < count. OpenMP takes a third of a microsecond even for a single thread.
template <class Work> static inline void in_parallel(Long count, Long threads, Work work)
{
    if (threads == 1) {
        for (Long i = 0; i < count; ++i)
            work(i);
        return;
    }
#pragma omp parallel for num_threads(threads)
    for (Long i = 0; i < count; ++i)
        work(i);
}

}  // namespace vectors
