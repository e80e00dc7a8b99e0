// What all kernels share. T is float or double; arrays are contiguous, or at least without gaps.
//
// Kernels are right for any number of blocks, and of threads that is a power of two: every loop
// goes over its whole range in steps of the grid or of the block. On a CPU (cpu.h) both are 1.

// A loop over each index from 0 to n - 1, by all threads of the grid. No turn of it may read what
// another writes: on a CPU several are made at once, as vectors.
#define EACH(i, n)                                                                  \
    INDEPENDENT                                                                     \
    for (long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x; i < (n);   \
         i += gridDim.x * (long long)blockDim.x)
// Each row, by the blocks of the grid, and each of its entries, by the threads of the block.
#define EACH_ROW(r, R) for (long long r = blockIdx.x; r < (R); r += gridDim.x)
#define EACH_ENTRY(p, P)                                                            \
    INDEPENDENT                                                                     \
    for (long long p = threadIdx.x; p < (P); p += blockDim.x)
// Each entry of a part of them, by the threads of the block.
#define EACH_IN(p, part)                                                            \
    INDEPENDENT                                                                     \
    for (long long p = (part).first + threadIdx.x; p < (part).end; p += blockDim.x)

#ifdef CPU
const int MOST_THREADS = 1;  // of a block
const int LANES = 16;        // so many numbers, or a few times as many, a thread takes at once
#else
const int MOST_THREADS = 1024;
const int LANES = 1;
// The compiler is not to make several turns at once: to know how many it can, each thread would
// divide 64-bit integers first, which takes longer than the few turns that it makes.
#define INDEPENDENT _Pragma("unroll 1")
#endif
const int SHORT = 32;  // so many numbers are added in T; longer sums go on in double

// The sum of every thread's value, for all threads of the block. Always added in the same order,
// so that results do not vary from run to run.
__device__ double block_sum(double value)
{
    __shared__ double parts[MOST_THREADS];
    __syncthreads();  // some thread may still read the sum before this one
    parts[threadIdx.x] = value;
    __syncthreads();
    for (int half = blockDim.x / 2; half > 0; half /= 2) {
        if (threadIdx.x < half)
            parts[threadIdx.x] += parts[threadIdx.x + half];
        __syncthreads();
    }
    return parts[0];
}

// The part of 0 ... n - 1 that block b of a row of the grid has: first <= i < end.
struct Part { long long first, end; };
__device__ Part part_of_block(long long b, long long n)
{
    const long long size = (n + gridDim.x - 1) / gridDim.x, end = (b + 1) * size;
    return {b * size, end < n ? end : n};
}

// The sum of f(b) over the blocks of a row of the grid, for all threads of the block.
template <class Function> __device__ double sum_over_blocks(Function f)
{
    double sum = 0;
    for (long long b = threadIdx.x; b < gridDim.x; b += blockDim.x)
        sum += f(b);
    return block_sum(sum);
}

// A row of numbers: row[p] is one of them or, on a CPU, if p is a Lanes, the vector that starts there.
// A function of a PLACE takes both.
#ifdef CPU
#define PLACE auto
struct Lanes { long long first; };
#else
#define PLACE long long
#endif
struct Row {
    const T* data;

    __device__ explicit operator bool() const { return data; }
    __device__ T operator[](long long p) const { return data[p]; }
#ifdef CPU
    vectors::Vector operator[](Lanes p) const { return vectors::load(data + p.first); }
#endif
};

#ifdef CPU
// sum_of for an f that takes Lanes too.
template <class Function> static double sum_of_vectors(long long first, long long end, Function f)
{
    const long long L = vectors::L, step = 2 * L;
    double sum = 0;
    for (long long start = first; start < end; start += SHORT * step) {
        const long long stop = start + SHORT * step < end ? start + SHORT * step : end;
        vectors::Vector even = {}, odd = {};
        long long i = start;
        for (; i + step <= stop; i += step) {
            even += f(Lanes{i});
            odd += f(Lanes{i + L});
        }
        if (i + L <= stop) {
            even += f(Lanes{i});
            i += L;
        }
        if (i < stop)  // the last vector begins earlier, among what is done
            odd += vectors::last_lanes(f(Lanes{stop - L}), stop - i);
        sum += vectors::sum_of_lanes(even + odd);
    }
    return sum;
}
#endif

// The sum of f(i) for first <= i < end, for all threads of the block.
template <class Function> __device__ double sum_of(long long first, long long end, Function f)
{
#ifdef CPU
    if constexpr (is_invocable_v<Function, Lanes>)
        if (end - first >= vectors::L)
            return sum_of_vectors(first, end, f);
#endif
    const long long step = LANES * (long long)blockDim.x;
    double sum = 0;
    for (long long start = first; start < end; start += SHORT * step) {
        const long long stop = start + SHORT * step < end ? start + SHORT * step : end;
        T part[LANES] = {};
        long long i = start + threadIdx.x * LANES;
        for (; i + LANES <= stop; i += step)
            for (int j = 0; j < LANES; ++j)
                part[j] += f(i + j);
        for (int j = 0; i + j < stop; ++j)
            part[j] += f(i + j);
        for (int half = LANES / 2; half > 0; half /= 2)
            for (int j = 0; j < half; ++j)
                part[j] += part[j + half];
        sum += part[0];
    }
    return block_sum(sum);
}

// The largest of P numbers, for all threads of the block; nan may be passed over.
__device__ T largest_of(long long P, const T* row)
{
    __shared__ T parts[MOST_THREADS * LANES];
    const int lanes = blockDim.x * LANES, first = threadIdx.x * LANES;
    __syncthreads();
    for (int j = first; j < first + LANES; ++j)
        parts[j] = j < P ? row[j] : row[0];
    for (long long start = lanes; start < P; start += lanes)
        for (int j = first; j < first + LANES && start + j < P; ++j)
            parts[j] = row[start + j] > parts[j] ? row[start + j] : parts[j];
    __syncthreads();
    for (int half = lanes / 2; half > 0; half /= 2) {
        for (int j = first; j < first + LANES && j < half; ++j)
            parts[j] = parts[j + half] > parts[j] ? parts[j + half] : parts[j];
        __syncthreads();
    }
    return parts[0];
}

const int COLUMNS = LANES == 1 ? 1 : 4 * LANES;

// out[b,p] = the sum of f(r, p) over a part of the rows r < R, for each column p < P: each row b of
// the grid has a part, and each thread columns of its own. With one row of blocks, as on a CPU, that
// is the sum over all rows; with several, column_sum adds up theirs.
template <class Function> __device__ void column_sums(long long R, long long P, T* out, Function f)
{
    const long long size = (R + gridDim.y - 1) / gridDim.y, first_row = blockIdx.y * size;
    const long long end = first_row + size < R ? first_row + size : R;
    out += blockIdx.y * P;
    EACH(tile, (P + COLUMNS - 1) / COLUMNS) {
        const long long first = tile * COLUMNS;
        const int width = P - first < COLUMNS ? P - first : COLUMNS;
        double sum[COLUMNS] = {};
        for (long long start = first_row; start < end; start += SHORT) {
            const long long stop = start + SHORT < end ? start + SHORT : end;
            T part[COLUMNS] = {};
            for (long long r = start; r < stop; ++r)
                for (int j = 0; j < width; ++j)
                    part[j] += f(r, first + j);
            for (int j = 0; j < COLUMNS; ++j)
                sum[j] += part[j];
        }
        for (int j = 0; j < width; ++j)
            out[first + j] = T(sum[j]);
    }
}
