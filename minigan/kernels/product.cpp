// The product of two matrices on a CPU: c (M,N) = a (M,K) @ b (K,N). T is float or double.
//
//     tiles  Columns of b are lanes. They are packed, some vectors wide, into the first-level cache
//            and multiplied there by some rows of a at a time, which stay where they are.
//     dots   For few rows of a, where the numbers of each sum lie side by side in both, as in
//            x @ w.T: these are the lanes, and are added up at the end.
//     sweep  For one to three rows of a, where rows of b lie in one piece: goes through b once.
//
// tiles and dots may do the transposed product instead, c.T = b.T @ a.T. The choice depends on
// sizes and strides, and the order of each sum on the choice and K: equal inputs give equal bits,
// wherever they lie and whatever the number of threads. Zeros fill lanes without a column only,
// and these are not stored: so nan and infinity stay in their rows and columns.

namespace product_of_matrices {

using namespace vectors;

const int VECTORS = REGISTERS == 32 ? 4 : 2;         // in a row of a tile, at most
const int ACCUMULATORS = REGISTERS == 32 ? 24 : 12;  // of a tile: a few registers are left over
const int ROWS = ACCUMULATORS / 2;                   // of a tile, at most
const Long DEPTH = 128, HEIGHT = 2048;               // of a panel
const Long DOTS = REGISTERS / 2;                     // at a time
const Long FEW = 3;                                  // rows of a sweep

struct Matrix {  // its rows and its columns are these steps apart
    const T* data;
    Long down, right;

    const T* at(Long row, Long column) const { return data + row * down + column * right; }
    Matrix transposed() const { return {data, right, down}; }
};

struct Product {
    Matrix a, b;
    T* c;
    Long c_down, c_right, M, N, K;
    const T* bias;      // or null; to its rows or its columns
    bool bias_of_rows;

    T bias_at(Long row, Long column) const
    {
        return bias ? bias[bias_of_rows ? row : column] : T(0);
    }
    Product transposed() const
    {
        return {b.transposed(), a.transposed(), c, c_right, c_down, N, M, K, bias, !bias_of_rows};
    }
    void tiles(Range rows, Range columns) const;
    void panel(Range rows, Range columns) const;
    void dots(Range rows, Range columns) const;
};

// ---- Tiles ----

// GCC keeps an array of vectors in registers if the loops over it are gone early enough.
#define UNROLLED _Pragma("GCC unroll 16")

// c[r, lane] = the sum over i < count of a[r, i] * b[i, lane], added to what is there if `add`;
// for R rows and V * L lanes. Rows of a are a_down apart, its columns a_right.
template <int R, int V>
static void tile(const T* a, Long a_down, Long a_right, const T* b, Long b_down, Long count, T* c,
                 Long c_down, bool add)
{
    const T* row[(R + 2) / 3];  // every third: so the addresses of all need few registers
    UNROLLED
    for (int r = 0; r < R; r += 3)
        row[r / 3] = a + r * a_down;
    Vector sum[R][V];
    UNROLLED
    for (int r = 0; r < R; ++r)
        UNROLLED
        for (int v = 0; v < V; ++v)
            sum[r][v] = Vector{};
#pragma GCC unroll 4
    for (Long i = 0; i < count; ++i) {
        Vector lanes[V];
        UNROLLED
        for (int v = 0; v < V; ++v)
            lanes[v] = load(b + v * L);
        UNROLLED
        for (int r = 0; r < R; ++r) {
            const T factor = row[r / 3][r % 3 * a_down];
            UNROLLED
            for (int v = 0; v < V; ++v)
                sum[r][v] += factor * lanes[v];
        }
        b += b_down;
        UNROLLED
        for (int r = 0; r < R; r += 3)
            row[r / 3] += a_right;
    }
    UNROLLED
    for (int r = 0; r < R; ++r)
        UNROLLED
        for (int v = 0; v < V; ++v) {
            T* const to = c + r * c_down + v * L;
            store(to, add ? load(to) + sum[r][v] : sum[r][v]);
        }
}

constexpr int rows_of_tile(int vectors) { return std::min(ROWS, ACCUMULATORS / vectors); }

typedef void Tile(const T*, Long, Long, const T*, Long, Long, T*, Long, bool);

template <int V, int... R>
static Tile* tile_of(Long rows, std::integer_sequence<int, R...>)
{
    static Tile* const tiles[] = {tile<R + 1, V>...};
    return tiles[rows - 1];
}

template <int V = VECTORS>
static Tile* tile_of(Long rows, Long vectors)
{
    if constexpr (V > 1)
        if (vectors < V)
            return tile_of<V - 1>(rows, vectors);
    return tile_of<V>(rows, std::make_integer_sequence<int, rows_of_tile(V)>());
}

// panel[i, lane] = b[i, lane] for `width` lanes, of which `used` are there; the others are 0.
static void pack(const Matrix& b, Long count, Long used, Long width, T* panel)
{
    if (b.right == 1) {
        for (Long i = 0; i < count; ++i)
            if (used == VECTORS * L)
                std::memcpy(panel + i * used, b.at(i, 0), VECTORS * L * sizeof(T));
            else
                std::fill_n(std::copy_n(b.at(i, 0), used, panel + i * width), width - used, T(0));
    } else if (b.down == 1) {
        for (Long v = 0; v < width; v += L) {
            const T* from[L];
            for (Long l = 0; l < L; ++l)
                from[l] = v + l < used ? b.at(0, v + l) : nullptr;
            to_lanes(from, nullptr, count, panel + v, width);
        }
    } else {
        for (Long i = 0; i < count; ++i)
            for (Long lane = 0; lane < width; ++lane)
                panel[i * width + lane] = lane < used ? *b.at(i, lane) : T(0);
    }
}

void Product::tiles(Range rows, Range columns) const
{
    for (Long row = rows.first; row < rows.end; row += HEIGHT)
        for (Long column = columns.first; column < columns.end; column += VECTORS * L)
            panel({row, std::min(row + HEIGHT, rows.end)},
                  {column, std::min(column + VECTORS * L, columns.end)});
}

// Up to HEIGHT rows and VECTORS * L columns of c.
void Product::panel(Range rows, Range columns) const
{
    alignas(64) T packed[DEPTH * VECTORS * L];
    const Long R = rows.end - rows.first, used = columns.end - columns.first;
    const Long vectors = pieces(used, L), width = vectors * L, most = rows_of_tile(vectors);
    const Long depth = pieces(K, pieces(K, DEPTH));
    const bool packs = used < width || b.right != 1 || R > most;

    // The sums are made in c, if all lanes have a place there.
    T* const to = c + rows.first * c_down + columns.first * c_right;
    const bool in_place = used == width && c_right == 1;
    T* const sums = in_place ? to : memory_for(SUMS, R * width);
    const Long down = in_place ? c_down : width;
    for (Long r = 0; r < R && bias; ++r)
        for (Long l = 0; l < used; ++l)
            sums[r * down + l] = bias_at(rows.first + r, columns.first + l);
    for (Long k = 0; k < K; k += depth) {
        const Long count = std::min(depth, K - k);
        const Matrix lanes = {b.at(k, columns.first), b.down, b.right};
        if (packs)
            pack(lanes, count, used, width, packed);
        for (Long first = 0; first < R; first += most)  // full tiles, then the rows that are left
            tile_of(std::min(most, R - first), vectors)(
                a.at(rows.first + first, k), a.down, a.right, packs ? packed : lanes.data,
                packs ? width : b.down, count, sums + first * down, down, bias || k > 0);
    }
    if (!in_place && c_down == 1) {
        const T zeros[L] = {};
        for (Long v = 0; v < used; v += L) {
            T* line[L];
            for (Long l = 0; l < std::min(L, used - v); ++l)
                line[l] = to + (v + l) * c_right;
            from_lanes(sums + v, down, R, zeros, line, std::min(L, used - v));
        }
    } else if (!in_place) {
        for (Long r = 0; r < R; ++r)
            std::copy_n(sums + r * down, used, to + r * c_down);
    }
}

// ---- Dots ----

// sums[i * B + j] = the sum over k < K of a[i][k] * b[j][k]; K is at least L.
template <int A, int B>
static void multiply(const T* const* a, const T* const* b, Long K, T* sums)
{
    Vector sum[A * B];
    UNROLLED
    for (int i = 0; i < A * B; ++i)
        sum[i] = Vector{};
    for (Long k = 0; k + L <= K; k += L) {
        Vector x[A];
        UNROLLED
        for (int i = 0; i < A; ++i)
            x[i] = load(a[i] + k);
        UNROLLED
        for (int j = 0; j < B; ++j) {
            const Vector y = load(b[j] + k);
            UNROLLED
            for (int i = 0; i < A; ++i)
                sum[i * B + j] += x[i] * y;
        }
    }
    if (K % L) {
        Vector x[A];
        UNROLLED
        for (int i = 0; i < A; ++i)
            x[i] = last_lanes(load(a[i] + K - L), K % L);  // those that are not added up yet
        UNROLLED
        for (int j = 0; j < B; ++j) {
            const Vector y = last_lanes(load(b[j] + K - L), K % L);
            UNROLLED
            for (int i = 0; i < A; ++i)
                sum[i * B + j] += x[i] * y;
        }
    }
    UNROLLED
    for (int i = 0; i < A * B; i += L) {
        transpose(sum + i);
        UNROLLED
        for (int half = L / 2; half > 0; half /= 2)
            UNROLLED
            for (int l = 0; l < half; ++l)
                sum[i + l] += sum[i + l + half];
        store(sums + i, sum[i]);
    }
}

template <int A>
static void dots_of(const Product& p, Range rows, Range columns)
{
    const int B = DOTS / A;
    T sums[DOTS];
    for (Long j = columns.first; j < columns.end; j += B)
        for (Long i = rows.first; i < rows.end; i += A) {
            const T *left[A], *right[B];  // the last ones are repeated
            for (Long l = 0; l < A; ++l)
                left[l] = p.a.at(std::min(i + l, rows.end - 1), 0);
            for (Long l = 0; l < B; ++l)
                right[l] = p.b.at(0, std::min(j + l, columns.end - 1));
            multiply<A, B>(left, right, p.K, sums);
            for (Long r = i; r < std::min(i + A, rows.end); ++r)
                for (Long n = j; n < std::min(j + B, columns.end); ++n)
                    p.c[r * p.c_down + n * p.c_right] = sums[(r - i) * B + n - j] + p.bias_at(r, n);
        }
}

static Long rows_of_dots(Long M) { return M < 3 ? M : 4; }

void Product::dots(Range rows, Range columns) const
{
    const Long A = rows_of_dots(M);
    (A == 1 ? dots_of<1> : A == 2 ? dots_of<2> : dots_of<4>)(*this, rows, columns);
}

// ---- Sweep ----

// c[r, n] = the sum over i < I of a[r, i] * b[i, n], added to what is there if `add`; for R rows and
// n < N, which is at least L.
template <int R, int I>
static void sweep_of(const Matrix& a, const Matrix& b, Long N, T* c, bool add)
{
    T factor[R][I];
    for (int r = 0; r < R; ++r)
        for (int i = 0; i < I; ++i)
            factor[r][i] = *a.at(r, i);
    for (Long n = 0; n < N; n += L) {
        const Long to = std::min(n, N - L);  // the last vector begins earlier, among what is done
        Vector v[I];
        UNROLLED
        for (int i = 0; i < I; ++i)
            v[i] = load(b.at(i, to));
        UNROLLED
        for (int r = 0; r < R; ++r) {
            Vector sum = factor[r][0] * v[0];
            UNROLLED
            for (int i = 1; i < I; ++i)
                sum += factor[r][i] * v[i];
            T* const place = c + r * N + to;
            if (add)
                sum = load(place) + (to == n ? sum : last_lanes(sum, N % L));
            store(place, sum);
        }
    }
}

template <int R>
static void sweep_rows(const Product& p)
{
    for (Long n = 0; n < p.N && p.bias; ++n)
        for (int r = 0; r < R; ++r)
            p.c[r * p.N + n] = p.bias[n];
    for (Long k = 0, count; k < p.K; k += count) {
        count = p.K - k >= 8 ? 8 : 1;
        const Matrix a = {p.a.at(0, k), p.a.down, p.a.right}, b = {p.b.at(k, 0), p.b.down, 1};
        (count == 8 ? sweep_of<R, 8> : sweep_of<R, 1>)(a, b, p.N, p.c, p.bias || k > 0);
    }
}

// ---- What Python calls ----

// About how long they take, in additions of a tile; measured on a CPU with AVX-512.
static double time_of_tiles(const Product& p)
{
    const double packing = p.b.right == 1 ? 2 : p.b.down == 1 ? 6 : 50;
    const double transposing = p.c_right == 1 ? 0 : 16;
    return (double)pieces(p.N, L) * L * std::max(p.M, FEW) * p.K + packing * p.N * p.K +
           transposing * p.M * p.N;
}

static double time_of_dots(const Product& p)
{
    const Long A = rows_of_dots(p.M), B = DOTS / A;
    return (double)pieces(p.M, A) * A * pieces(p.N, B) * B * (1.33 * p.K + 14 * L);
}

// The product (M,N) of a (M,K) and b (K,N), by their strides in bytes, plus bias (N,) or null.
extern "C" __global__ void product(const T* a, const T* b, const T* bias, T* c, long long M,
                                   long long N, long long K, long long a_down, long long a_right,
                                   long long b_down, long long b_right, long long threads)
{
    const Long size = sizeof(T);
    const Product plain = {{a, a_down / size, a_right / size}, {b, b_down / size, b_right / size},
                           c, N, 1, M, N, K, bias, false};
    const Product transposed = plain.transposed(), few_rows = M <= N ? plain : transposed;
    const double time[] = {time_of_tiles(plain), time_of_tiles(transposed), time_of_dots(few_rows)};

    if (M <= FEW && plain.b.right == 1 && N >= L)
        return (M == 1 ? sweep_rows<1> : M == 2 ? sweep_rows<2> : sweep_rows<FEW>)(plain);
    const bool can_dot = plain.a.right == 1 && plain.b.down == 1 && K >= L;
    const bool dots = can_dot && time[2] < std::min(time[0], time[1]);
    const auto method = dots ? &Product::dots : &Product::tiles;
    const Product& p = dots ? few_rows : time[1] < time[0] ? transposed : plain;
    const bool by_rows = p.M > p.N;
    in_parallel(threads, threads, [&](Long i) {
        const Range rows = by_rows ? share(p.M, 1, i, threads) : Range{0, p.M};
        const Range columns = by_rows ? Range{0, p.N} : share(p.N, VECTORS * L, i, threads);
        if (rows.first < rows.end && columns.first < columns.end)
            (p.*method)(rows, columns);
    });
}

}  // namespace product_of_matrices

using product_of_matrices::product;
