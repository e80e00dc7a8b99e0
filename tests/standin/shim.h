// What CUDA has and C++ has not, for one thread at a time on the CPU.
#include <cmath>
#include <cstdint>
#include <ucontext.h>
#include <vector>

using namespace std;

#define __global__
#define __device__ static
#define __shared__ static

struct Dim3 { unsigned x, y, z; };
Dim3 threadIdx, blockIdx, blockDim, gridDim;

// The threads of a block take turns: each runs to the next barrier, then the one after it does.
static ucontext_t scheduler;
static vector<ucontext_t> threads;
static bool at_barrier;

void __syncthreads()
{
    at_barrier = true;
    swapcontext(&threads[threadIdx.x], &scheduler);
}

typedef void (*Entry)(void**);
static Entry running;
static void** arguments;

static void thread_main()
{
    running(arguments);
}

// Returns whether the threads of the block met at every barrier.
static bool run_block_with_barriers()
{
    const size_t STACK = 64 * 1024;
    static vector<char> stacks;
    const unsigned count = blockDim.x;
    stacks.resize(count * STACK);
    threads.assign(count, ucontext_t());
    for (unsigned t = 0; t < count; ++t) {
        getcontext(&threads[t]);
        threads[t].uc_stack.ss_sp = stacks.data() + t * STACK;
        threads[t].uc_stack.ss_size = STACK;
        threads[t].uc_link = &scheduler;
        makecontext(&threads[t], thread_main, 0);
    }
    for (;;) {
        unsigned waiting = 0;
        for (unsigned t = 0; t < count; ++t) {
            threadIdx.x = t;
            at_barrier = false;
            swapcontext(&scheduler, &threads[t]);
            waiting += at_barrier;
        }
        if (waiting == 0)
            return true;
        if (waiting != count)
            return false;
    }
}

extern "C" int run_grid(Entry entry, void** args, unsigned grid_x, unsigned grid_y, unsigned block,
                        int has_barriers)
{
    running = entry;
    arguments = args;
    gridDim = {grid_x, grid_y, 1};
    blockDim = {block, 1, 1};
    for (unsigned y = 0; y < grid_y; ++y)
        for (unsigned x = 0; x < grid_x; ++x) {
            blockIdx = {x, y, 0};
            threadIdx = {0, 0, 0};
            if (has_barriers) {
                if (!run_block_with_barriers())
                    return 1;
            } else {
                for (threadIdx.x = 0; threadIdx.x < block; ++threadIdx.x)
                    entry(args);
            }
        }
    return 0;
}
