// What CUDA has and C++ has not, for one thread at a time on the CPU.
#include <cmath>
#include <csetjmp>
#include <cstdint>
#include <ucontext.h>
#include <vector>

using namespace std;

#define __global__
#define __device__ inline
#define __shared__ static

struct Dim3 { unsigned x, y, z; };
Dim3 threadIdx, blockIdx, blockDim, gridDim;

typedef void (*Entry)(void**);
static Entry entry;
static void** arguments;

// The threads of a block take turns: each runs to the next barrier, or to its end, then the one
// after it does. They are made once, by ucontext; from then on they change places by longjmp, which
// costs no system call.
struct Thread { ucontext_t first; jmp_buf place; vector<char> stack; bool made, waits; };
static Thread threads[1024];
static jmp_buf scheduler;

static void give_way(Thread& thread, bool waits)
{
    thread.waits = waits;
    if (!_setjmp(thread.place))
        _longjmp(scheduler, 1);
}

void __syncthreads()
{
    give_way(threads[threadIdx.x], true);
}

static void live()
{
    for (;;) {
        entry(arguments);
        give_way(threads[threadIdx.x], false);
    }
}

static void go_on(Thread& thread)
{
    if (_setjmp(scheduler))
        return;
    if (thread.made)
        _longjmp(thread.place, 1);
    thread.made = true;
    thread.stack.resize(64 * 1024);
    getcontext(&thread.first);
    thread.first.uc_stack.ss_sp = thread.stack.data();
    thread.first.uc_stack.ss_size = thread.stack.size();
    makecontext(&thread.first, live, 0);
    setcontext(&thread.first);
}

// Returns whether the threads of the block met at every barrier. If they did not, this library is
// of no more use: some threads are still within the kernel.
static bool run_block_with_barriers()
{
    for (;;) {
        unsigned waiting = 0;
        for (unsigned t = 0; t < blockDim.x; ++t) {
            threadIdx.x = t;
            go_on(threads[t]);
            waiting += threads[t].waits;
        }
        if (waiting == 0)
            return true;
        if (waiting != blockDim.x)
            return false;
    }
}

extern "C" int run_grid(Entry kernel, void** args, unsigned grid_x, unsigned grid_y, unsigned block,
                        int has_barriers)
{
    entry = kernel;
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
