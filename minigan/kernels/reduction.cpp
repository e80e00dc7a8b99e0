// The mean of arrays that lie in memory which processes share.
#include <thread>

namespace reduction {

using namespace vectors;

const Long LOOKS = 1 << 14, PER_YIELD = 1 << 8;  // at what the other processes do

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

// Whether all processes have arrived at a meeting, looked at for a while.
static bool all_arrive(const Long* const* arrived, Long processes, Long meeting)
{
    Long here = 0;
    for (Long look = 1; look <= LOOKS; ++look) {
        while (here < processes && __atomic_load_n(arrived[here], __ATOMIC_ACQUIRE) >= meeting)
            ++here;
        if (here == processes)
            return true;
        if (look % PER_YIELD == 0)
            this_thread::yield();
    }
    return false;
}

// Between two meetings of all processes, the second being `meeting`: the mean of their arrays (n,),
// in all of them, of which each process makes a part.
//
// addresses  (2,processes) of the process' part of each array, and of the counters at which meeting
//            each has arrived
//
// A process that waits in vain returns after a while, so that Python can look whether it is to
// end; it then calls this again, which goes on where it was.
extern "C" __global__ void mean_of_processes(const long long* addresses, long long rank,
                                             long long processes, long long meeting, long long n)
{
    T* const* arrays = (T* const*)addresses;
    Long* const* arrived = (Long* const*)(addresses + processes);
    Long* const own = arrived[rank];
    if (*own < meeting - 1)
        __atomic_store_n(own, meeting - 1, __ATOMIC_RELEASE);
    if (*own < meeting) {
        if (!all_arrive(arrived, processes, meeting - 1))
            return;
        become_mean(arrays, processes, n);
        __atomic_store_n(own, meeting, __ATOMIC_RELEASE);
    }
    all_arrive(arrived, processes, meeting);
}

}  // namespace reduction

using reduction::mean_of_processes;
