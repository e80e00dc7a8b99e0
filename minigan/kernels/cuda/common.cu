// What all kernels share. T is float or double; arrays are contiguous, or at least without gaps.

// Each index from 0 to n - 1, over all threads of the grid.
#define EACH(i, n)                                                                  \
    (long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x; i < (n);       \
     i += gridDim.x * (long long)blockDim.x)

const int MOST_THREADS = 1024;  // of a block

// The sum of every thread's value, for all threads of the block, which are a power of two. Always
// added in the same order, so that results do not vary from run to run.
__device__ T block_sum(T value)
{
    __shared__ T parts[MOST_THREADS];
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
