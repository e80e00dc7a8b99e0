// Vectors of T, which is float or double: GCC's and Clang's vector extension, for no particular CPU.
#include <cstring>
#include <type_traits>
#include <utility>

namespace vectors {

typedef long long Long;

// Bytes of a vector, and how many vectors the registers hold.
#if defined(__AVX512F__)
#define VECTOR_BYTES 64
#define REGISTERS 32
#elif defined(__AVX__)
#define VECTOR_BYTES 32
#define REGISTERS 16
#elif defined(__aarch64__)
#define VECTOR_BYTES 16
#define REGISTERS 32
#else
#define VECTOR_BYTES 16
#define REGISTERS 16
#endif
typedef T Vector __attribute__((vector_size(VECTOR_BYTES)));
const Long L = VECTOR_BYTES / sizeof(T);  // lanes of a vector

// One integer per lane; as a mask, all bits set or none.
typedef decltype(Vector{} == Vector{}) Indices;

static inline Vector load(const T* from)
{
    Vector v;
    std::memcpy(&v, from, sizeof v);
    return v;
}

static inline void store(T* to, Vector v) { std::memcpy(to, &v, sizeof v); }

#ifdef __clang__
#define SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define SHUFFLE(a, b, ...) __builtin_shuffle(a, b, Indices{__VA_ARGS__})
#endif

// The vector with zeros in place of all but its last lanes.
template <Long... J>
static inline Vector last_lanes(Vector v, Long count, std::integer_sequence<Long, J...>)
{
    typedef std::remove_reference_t<decltype(Indices{}[0])> Index;
    return (Vector)((Indices)v & (Indices{J...} >= (Index)(L - count)));
}
static inline Vector last_lanes(Vector v, Long count)
{
    return last_lanes(v, count, std::make_integer_sequence<Long, L>());
}

// The sum of all lanes: of both halves, then of their halves, and so on.
template <Long S, Long... J>
static inline T sum_of_lanes(Vector v, std::integer_sequence<Long, J...> lanes)
{
    v += SHUFFLE(v, v, (J ^ S)...);
    if constexpr (S > 1)
        return sum_of_lanes<S / 2>(v, lanes);
    else
        return v[0];
}
static inline T sum_of_lanes(Vector v)
{
    return sum_of_lanes<L / 2>(v, std::make_integer_sequence<Long, L>());
}

}  // namespace vectors
