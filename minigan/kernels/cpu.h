// CUDA's words for a CPU: one block of one thread. With these constants the loops over threads and
// blocks of the .cu files become plain loops, which the compiler turns into vector instructions.
#include <cmath>
#include <cstddef>
#include <exception>
#include <tuple>
#include <type_traits>
#include <utility>

using namespace std;

#define __global__ __attribute__((noinline))  // compiled once, and not again in its Entry
#define __device__ inline
#define __shared__
#define CPU 1

struct Dim3 { unsigned x, y, z; };
static constexpr Dim3 threadIdx = {0, 0, 0}, blockIdx = {0, 0, 0};
static constexpr Dim3 blockDim = {1, 1, 1}, gridDim = {1, 1, 1};
static inline void __syncthreads() {}

// Of a loop: no turn reads what another writes. Otherwise the compiler makes two forms of it, and
// looks at the addresses to choose one; they may round differently, from run to run.
#ifdef __clang__
#define INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#else
#define INDEPENDENT _Pragma("GCC ivdep")
#endif

// glibc has these for a whole vector at a time, where a loop calls them unconditionally.
#ifdef HAS_LIBMVEC
#define OF_VECTORS(name)                                                            \
    extern "C" __attribute__((simd("notinbranch"))) float name##f(float) noexcept;  \
    extern "C" __attribute__((simd("notinbranch"))) double name(double) noexcept;
OF_VECTORS(exp) OF_VECTORS(log) OF_VECTORS(log1p) OF_VECTORS(tanh) OF_VECTORS(erfc)
#endif

// While there is one that is on, what is too small for all of its digits (in float32 below 1.2e-38)
// counts as 0: a CPU takes tens of times as long for it as for other numbers.
class TinyIsZero {
#if defined(__SSE__)
    unsigned before;
    void set(unsigned mode) { asm volatile("ldmxcsr %0" : : "m"(mode) : "memory"); }

public:
    explicit TinyIsZero(bool on)
    {
        asm volatile("stmxcsr %0" : "=m"(before));
        set(on ? before | 0x8040 : before);  // results, and what is read
    }
    ~TinyIsZero() { set(before); }
#elif defined(__aarch64__)
    unsigned long before;
    void set(unsigned long mode) { asm volatile("msr fpcr, %0" : : "r"(mode) : "memory"); }

public:
    explicit TinyIsZero(bool on)
    {
        asm volatile("mrs %0, fpcr" : "=r"(before));
        set(on ? before | 1ul << 24 : before);
    }
    ~TinyIsZero() { set(before); }
#else
public:
    explicit TinyIsZero(bool) {}
    ~TinyIsZero() {}
#endif
};

// How Python calls a kernel: as a function of its own, which costs a fraction of a call by ctypes.
// These are parts of its stable ABI, declared here because its headers are rarely installed.
struct Object;
extern "C" {
long long PyLong_AsLongLong(Object*);
Object* PyLong_FromLongLong(long long);
double PyFloat_AsDouble(Object*);
Object* PyErr_Occurred();
void PyErr_SetString(Object*, const char*);
extern Object *PyExc_TypeError, *PyExc_MemoryError;
int PyType_IsSubtype(Object*, Object*);
void Py_IncRef(Object*);
void* PyEval_SaveThread();
void PyEval_RestoreThread(void*);
}
typedef Object* Function(Object* self, Object* const* args, ptrdiff_t count);
struct Method { const char* name; Function* function; int flags; const char* doc; };
const int METH_FASTCALL = 0x80;
#define VISIBLE __attribute__((visibility("default")))
#define EXPORTED extern "C" VISIBLE

static Object *python_none, *array_type;
static ptrdiff_t header;  // the size of what every Python object starts with; its type is the end

EXPORTED void prepare(Object* none, Object* ndarray, ptrdiff_t header_size)
{
    python_none = none;
    array_type = ndarray;
    header = header_size;
}

EXPORTED const char* built_by()
{
    return BUILT_BY ", version " __VERSION__;
}

// The address of an array's data, which NumPy keeps right after the header; null for None.
static inline void* data_of(Object* array)
{
    if (array == python_none)
        return nullptr;
    Object* type = *(Object**)((char*)array + header - sizeof(Object*));
    if (type != array_type && !PyType_IsSubtype(type, array_type)) {
        PyErr_SetString(PyExc_TypeError, "kernel: expected an array");
        return nullptr;
    }
    return *(void**)((char*)array + header);
}

static Object* address(Object*, Object* const* args, ptrdiff_t count)
{
    const long long place = (long long)data_of(args[0]);
    return PyErr_Occurred() ? nullptr : PyLong_FromLongLong(place);
}

template <class Type> static inline Type as(Object* argument)
{
    if constexpr (is_pointer_v<Type>)
        return (Type)data_of(argument);
    else if constexpr (is_floating_point_v<Type>)
        return (Type)PyFloat_AsDouble(argument);
    else
        return (Type)PyLong_AsLongLong(argument);
}

// About how much work a launch is: the product of its integers, which are sizes.
template <class Type> static inline double size_in(Type argument)
{
    if constexpr (is_integral_v<Type>)
        return argument > 1 ? (double)argument : 1;
    return 1;
}

const double LONG = 20000;  // from this size on, other Python threads may run meanwhile

// A launch that is noted, to be done later: a kernel and its arguments. See host.cpp.
struct Launch {
    void (*run)(const Launch*);
    void (*set)(Launch*, long long index, void* pointer);  // an argument that is an array
    bool is_long;
};

template <auto kernel> struct Entry;
template <class... Types, void (*kernel)(Types...)> struct Entry<kernel> {
    struct Noted : Launch { tuple<Types...> values; };

    static void run(const Launch* launch)
    {
        apply(kernel, static_cast<const Noted*>(launch)->values);
    }

    template <size_t... I>
    static void set(Launch* launch, long long index, void* pointer, index_sequence<I...>)
    {
        auto& values = static_cast<Noted*>(launch)->values;
        const auto replace = [&](long long i, auto& value) {
            if constexpr (is_pointer_v<remove_reference_t<decltype(value)>>)
                if (i == index)
                    value = (decltype(+value))pointer;
        };
        (replace(I, get<I>(values)), ...);
    }

    static void set(Launch* launch, long long index, void* pointer)
    {
        set(launch, index, pointer, index_sequence_for<Types...>());
    }

    template <size_t... I>
    static Object* call(Object* const* args, bool later, index_sequence<I...>)
    {
        const tuple<Types...> values{as<Types>(args[I])...};
        if (PyErr_Occurred())
            return nullptr;
        const bool is_long = (size_in(get<I>(values)) * ...) >= LONG;
        if (later)
            return PyLong_FromLongLong((long long)new Noted{{run, set, is_long}, values});
        void* const thread = is_long ? PyEval_SaveThread() : nullptr;
        bool failed = false;
        try {
            kernel(get<I>(values)...);
        } catch (const exception&) {  // of memory, which some kernels ask for
            failed = true;
        }
        if (is_long)
            PyEval_RestoreThread(thread);
        if (failed) {
            PyErr_SetString(PyExc_MemoryError, "there is not enough memory");
            return nullptr;
        }
        Py_IncRef(python_none);
        return python_none;
    }

    // With the type of arrays as a further argument the launch is noted, and its address returned.
    static Object* call(Object*, Object* const* args, ptrdiff_t count)
    {
        const bool later = count == sizeof...(Types) + 1 && args[count - 1] == array_type;
        if (count == sizeof...(Types) || later)
            return call(args, later, index_sequence_for<Types...>());
        PyErr_SetString(PyExc_TypeError, "kernel: wrong number of arguments");
        return nullptr;
    }
};
