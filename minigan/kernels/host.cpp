// The host's work in a captured step, which in Python would take longer than the kernels of a small
// network: going through a list of launches, and looking whether everything is as it was recorded.

#include <cstring>

extern "C" {
ptrdiff_t PyTuple_Size(Object*);
Object* PyTuple_GetItem(Object*, ptrdiff_t);
ptrdiff_t PyList_Size(Object*);
Object* PyList_GetItem(Object*, ptrdiff_t);
int PyList_SetItem(Object*, ptrdiff_t, Object*);
ptrdiff_t PyDict_Size(Object*);
int PyDict_Next(Object*, ptrdiff_t*, Object**, Object**);
Object* PyBool_FromLong(long);
}

static Object* none()
{
    Py_IncRef(python_none);
    return python_none;
}

// walk(launches, count): do the launches whose addresses are in an array.
static Object* walk(Object*, Object* const* args, ptrdiff_t count)
{
    const Launch* const* launches = (const Launch* const*)data_of(args[0]);
    const long long n = PyLong_AsLongLong(args[1]);
    bool is_long = false, failed = false;
    for (long long i = 0; i < n; ++i)
        is_long = is_long || launches[i]->is_long;
    void* const thread = is_long ? PyEval_SaveThread() : nullptr;
    try {
        for (long long i = 0; i < n; ++i)
            launches[i]->run(launches[i]);
    } catch (const exception&) {
        failed = true;
    }
    if (is_long)
        PyEval_RestoreThread(thread);
    if (!failed)
        return none();
    PyErr_SetString(PyExc_MemoryError, "there is not enough memory");
    return nullptr;
}

// forget(launches, count): free them.
static Object* forget(Object*, Object* const* args, ptrdiff_t count)
{
    Launch** launches = (Launch**)data_of(args[0]);
    for (long long n = PyLong_AsLongLong(args[1]); n-- > 0;)
        ::operator delete(launches[n]);
    return none();
}

// same_pointers(pairs, count): whether each address holds the pointer that stands beside it.
static Object* same_pointers(Object*, Object* const* args, ptrdiff_t count)
{
    void** const* pairs = (void** const*)data_of(args[0]);
    const long long n = PyLong_AsLongLong(args[1]);
    bool same = true;
    for (long long i = 0; i < n; ++i)
        same = same && *pairs[2 * i] == (void*)pairs[2 * i + 1];
    return PyBool_FromLong(same);
}

// same_entries(lists, dicts): whether each list, and the values of each dict, are those that they
// were. Both arguments are tuples: a list or dict, a tuple of what was in it, the next one, ...
static Object* same_entries(Object*, Object* const* args, ptrdiff_t count)
{
    bool same = true;
    for (ptrdiff_t i = 0, n = PyTuple_Size(args[0]); same && i < n; i += 2) {
        Object *list = PyTuple_GetItem(args[0], i), *known = PyTuple_GetItem(args[0], i + 1);
        const ptrdiff_t size = PyTuple_Size(known);
        same = PyList_Size(list) == size;
        for (ptrdiff_t k = 0; same && k < size; ++k)
            same = PyList_GetItem(list, k) == PyTuple_GetItem(known, k);
    }
    for (ptrdiff_t i = 0, n = PyTuple_Size(args[1]); same && i < n; i += 2) {
        Object *dict = PyTuple_GetItem(args[1], i), *known = PyTuple_GetItem(args[1], i + 1);
        ptrdiff_t place = 0, k = 0;
        Object *key, *value;
        same = PyDict_Size(dict) == PyTuple_Size(known);
        while (same && PyDict_Next(dict, &place, &key, &value))
            same = value == PyTuple_GetItem(known, k++);
    }
    return PyBool_FromLong(same);
}

// count_up(pairs, count): counter[0] += n for each counter, a list, by the address where a pointer to
// it lies and the number beside that.
static Object* count_up(Object*, Object* const* args, ptrdiff_t count)
{
    const long long* pairs = (const long long*)data_of(args[0]);
    for (long long n = PyLong_AsLongLong(args[1]); n-- > 0; pairs += 2) {
        Object* counter = *(Object**)pairs[0];
        PyList_SetItem(counter, 0, PyLong_FromLongLong(
            PyLong_AsLongLong(PyList_GetItem(counter, 0)) + pairs[1]));
    }
    return none();
}

// x += n
extern "C" __global__ void add_integer(long long* x, long long n)
{
    *x += n;
}

// y = x, an array of up to four axes of `shape` (4,) by its strides (4,) in elements, y's first.
extern "C" __global__ void copy_strided(T* y, const T* x, const long long* shape, const long long* strides,
                                long long size)
{
    const long long *to = strides, *from = strides + 4;
    for (long long a = 0; a < shape[0]; ++a)
        for (long long b = 0; b < shape[1]; ++b)
            for (long long c = 0; c < shape[2]; ++c) {
                T* out = y + a * to[0] + b * to[1] + c * to[2];
                const T* in = x + a * from[0] + b * from[1] + c * from[2];
                for (long long d = 0; d < shape[3]; ++d)
                    out[d * to[3]] = in[d * from[3]];
            }
}

// An array of NumPy's: the part of its struct that its ABI guarantees.
struct Array {
    void* data;
    int dimensions;
    ptrdiff_t *shape, *strides;
    Object *base, *dtype;
    int flags;
};

// The array of a Tensor, which has it at `place`, if it can stand in for one that was given before:
// of its shape and dtype, in C order, and of a Tensor that requires no gradient. Else null.
static const Array* input_like(const Array& before, Object* tensor, long long place, Object* type,
                               long long required, Object* not_required)
{
    if (*(Object**)((char*)tensor + header - sizeof(Object*)) != type ||
        *(Object**)((char*)tensor + required) != not_required)
        return nullptr;
    Object* const object = *(Object**)((char*)tensor + place);
    if (*(Object**)((char*)object + header - sizeof(Object*)) != array_type)
        return nullptr;
    const Array& array = *(const Array*)((char*)object + header);
    const int C_CONTIGUOUS = 1, ALIGNED = 0x100, wanted = C_CONTIGUOUS | ALIGNED;
    bool fits = before.dimensions && array.dimensions == before.dimensions &&
                array.dtype == before.dtype && (array.flags & wanted) == wanted;
    for (int axis = 0; fits && axis < before.dimensions; ++axis)
        fits = array.shape[axis] == before.shape[axis];
    return fits ? &array : nullptr;
}

// take_inputs(fixed, inputs, place, type, place of requires_grad, False, uses, taken, written,
//             pieces): let launches read the arrays of Tensors, each in place of a fixed one of its
// shape and dtype, or copy them there. Whether that could be done, see input_like; if not, somebody
// else has to look.
//
// uses     of each: an array (uses,3) of a launch, the index of its argument and an offset in bytes;
//          or None if something other than a launch reads it, so that it must be copied
// taken    (inputs,) where each lies that the launches read now
// written  (pieces,2) where memory begins and ends that the launches write: what lies there is copied
static Object* take_inputs(Object*, Object* const* args, ptrdiff_t count)
{
    const ptrdiff_t n = PyTuple_Size(args[1]);
    const long long place = PyLong_AsLongLong(args[2]), required = PyLong_AsLongLong(args[4]);
    char** const taken = (char**)data_of(args[7]);
    char* const(*const written)[2] = (char* const(*)[2])data_of(args[8]);
    const long long pieces = PyLong_AsLongLong(args[9]);
    const auto fixed = [&](ptrdiff_t i) -> const Array& {
        return *(const Array*)((char*)PyTuple_GetItem(args[0], i) + header);
    };
    const auto input = [&](ptrdiff_t i) {
        return input_like(fixed(i), PyTuple_GetItem(args[1], i), place, args[3], required, args[5]);
    };
    bool fit = PyTuple_Size(args[0]) == n;
    for (ptrdiff_t i = 0; fit && i < n; ++i)
        fit = input(i) != nullptr;
    for (ptrdiff_t i = 0; fit && i < n; ++i) {  // nothing is copied before all were looked at
        const Array &from = *input(i), &to = fixed(i);
        ptrdiff_t bytes = to.strides[to.dimensions - 1];  // of one element: `to` is new and dense
        for (int axis = 0; axis < to.dimensions; ++axis)
            bytes *= to.shape[axis];
        char* data = (char*)from.data;
        Object* const uses = PyTuple_GetItem(args[6], i);
        bool stays = uses != python_none;
        for (long long k = 0; stays && k < pieces; ++k)
            stays = data + bytes <= written[k][0] || written[k][1] <= data;
        if (!stays) {
            memmove(to.data, data, bytes);
            data = (char*)to.data;
        }
        if (uses == python_none || data == taken[i])
            continue;
        taken[i] = data;
        const Array& list = *(const Array*)((char*)uses + header);
        const long long* use = (const long long*)list.data;
        for (ptrdiff_t k = 0; k < list.shape[0]; ++k, use += 3) {
            Launch* const launch = (Launch*)use[0];
            launch->set(launch, use[1], data + use[2]);
        }
    }
    return PyBool_FromLong(fit);
}
