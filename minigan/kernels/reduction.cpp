// The mean of arrays that lie in memory which processes share.
#include <thread>

namespace reduction {

using namespace vectors;

const Long LOOKS = 1 << 14;     // at the other processes' counters, in the first call: 0.1 ms or so
const Long PER_YIELD = 1 << 8;  // after so many the core is offered to others

// Each of the arrays (n,) becomes their mean, added up in order.
static void become_mean(T* const* arrays, Long count, Long n)
{
    Long i = 0;
    for (; i + L <= n; i += L) {
        Vector sum = load(arrays[0] + i);
        for (Long k = 1; k < count; ++k)
            sum += load(arrays[k] + i);
        sum /= T(count);
        for (Long k = 0; k < count; ++k)
            store(arrays[k] + i, sum);
    }
    for (; i < n; ++i) {
        T sum = arrays[0][i];
        for (Long k = 1; k < count; ++k)
            sum += arrays[k][i];
        for (Long k = 0; k < count; ++k)
            arrays[k][i] = sum / T(count);
    }
}

// Whether all processes arrive at a meeting within so many looks.
static bool all_arrive(const Long* const* arrived, Long processes, Long meeting, Long looks)
{
    Long here = 0;
    for (Long look = 1; look <= looks; ++look) {
        while (here < processes && __atomic_load_n(arrived[here], __ATOMIC_ACQUIRE) >= meeting)
            ++here;
        if (here == processes)
            return true;
        if (look % PER_YIELD == 0)
            this_thread::yield();
    }
    return false;
}

// Wait until all processes have arrived at the meeting before `meeting`, make this process's part of
// each array (n,) the mean of them all, and wait for the others at `meeting`.
//
// addresses  (2,processes) of its part of each array, and of the counters at which meeting each
//            process has arrived
// own        (2,): which of the processes this is, and `meeting`
//
// A call that waits in vain returns, so that Python can handle signals. The next one goes on where it
// was, and looks at the counters once.
extern "C" __global__ void mean_of_processes(const long long* addresses, const long long* own,
                                             long long processes, long long is_first, long long n)
{
    T* const* arrays = (T* const*)addresses;
    Long* const* arrived = (Long* const*)(addresses + processes);
    Long* const here = arrived[own[0]];
    const Long meeting = own[1], looks = is_first ? LOOKS : 1;
    if (*here < meeting - 1)
        __atomic_store_n(here, meeting - 1, __ATOMIC_RELEASE);
    if (*here < meeting) {
        if (!all_arrive(arrived, processes, meeting - 1, looks))
            return;
        become_mean(arrays, processes, n);
        __atomic_store_n(here, meeting, __ATOMIC_RELEASE);
    }
    all_arrive(arrived, processes, meeting, looks);
}

}  // namespace reduction

using reduction::mean_of_processes;
