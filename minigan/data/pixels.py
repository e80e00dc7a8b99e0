"""The pixels of an image in an HDF5 file, whatever the file's bytes are.

libhdf5 finds an image and tells how it is stored. It does not unpack it here: a packed part that
holds less than it should makes libhdf5 read the memory behind it, up to a crash, and one that holds
more is unpacked to the end, a thousand times the size of the file.
"""

import itertools
import math
import struct

import numpy

from minigan.data.packed import RATIO, inflated, unpacked_lzf


class StoredImage:
    """An image in an open HDF5 file, unpacked only where it is looked at: image[rows, columns].

    data_set  an h5py.Dataset

    `dtype` and `shape`, () where there is no data at all, are what the file says; slices are for
    an image uint8 (H,W,3), lie within it and give an array uint8 (h,w,3). ValueError, at once or
    from the slices, for what is damaged, not in the file itself, or packed in an unknown way.
    """

    def __init__(self, data_set):
        from h5py import h5d

        self.data_set = data_set
        stored = data_set.id.get_create_plist()
        # Asked first: even the shape of a virtual data set is looked for in other files.
        if stored.get_layout() == h5d.VIRTUAL or stored.get_external_count():
            raise ValueError("expected pixels in the file itself, found them in others")
        self.filters = [stored.get_filter(place)[0] for place in range(stored.get_nfilters())]
        for number in self.filters:
            if number not in UNPACKERS:
                raise ValueError(f"expected no other filters than gzip, LZF, shuffle and "
                                 f"Fletcher32, found number {number}")
        self.dtype, self.shape = data_set.dtype, data_set.shape or ()
        self.chunks = data_set.chunks
        self.room = data_set.file.id.get_filesize()
        if math.prod(self.shape) > self.room * (1 if self.chunks is None else RATIO):
            raise ValueError(f"expected no more than a file of {self.room} bytes can hold, found "
                             f"a shape of {self.shape}")

    def __getitem__(self, window):
        if self.chunks is None:
            return self.data_set[window]
        window += slice(0, 3),
        pixels = numpy.empty([along.stop - along.start for along in window], numpy.uint8)
        for corner in self._corners(window):
            common = [slice(max(along.start, start), min(along.stop, start + side))
                      for along, start, side in zip(window, corner, self.chunks)]
            target = _from(common, [along.start for along in window])
            pixels[target] = self._chunk(corner)[_from(common, corner)]
        return pixels

    def look_up(self):
        """Find where all of an image uint8 (H,W,3) is in the file, without reading it."""
        if self.chunks is not None:
            for corner in self._corners([slice(0, length) for length in self.shape]):
                self._check_size(corner)

    def _corners(self, window):
        """The first indices of all chunks with a part of a window of three slices."""
        return itertools.product(*(range(along.start // side * side, along.stop, side)
                                   for along, side in zip(window, self.chunks)))

    def _check_size(self, corner):
        """ValueError if a chunk is not there, or its size cannot be."""
        size = math.prod(self.chunks)
        packed = self.data_set.id.get_chunk_info_by_coord(corner).size
        # Asked before libhdf5 makes room for as much as the file says there is.
        if packed > self.room or size > RATIO * packed:
            raise ValueError(f"chunk {corner}: expected {size} bytes, found {packed} packed ones "
                             f"in a file of {self.room}")

    def _chunk(self, corner):
        """The chunk with this first index: uint8 of the shape of all chunks."""
        size = math.prod(self.chunks)
        self._check_size(corner)
        skipped, content = self.data_set.id.read_direct_chunk(corner)
        for place, number in reversed(list(enumerate(self.filters))):
            # Each filter has a bit, set where it made the chunk no smaller and so left it.
            if not skipped >> place & 1:
                content = UNPACKERS[number](content, size)
        if len(content) != size:
            raise ValueError(f"chunk {corner}: expected {size} bytes, found {len(content)}")
        return numpy.frombuffer(content, numpy.uint8).reshape(self.chunks)


def _from(part, origin):
    """Slices that begin to count at another place."""
    return tuple(slice(along.start - start, along.stop - start)
                 for along, start in zip(part, origin))


def _unsummed(content, size):
    """What Fletcher's checksum, the last four bytes, is of; ValueError if it is not."""
    content, stored = content[:-4], content[-4:]
    words = numpy.frombuffer(content + bytes(len(content) % 2), ">u2").astype(numpy.int64)
    weights = numpy.arange(len(words), 0, -1) % 65535
    sums = [words.sum() % 65535, (words * weights % 65535).sum() % 65535]
    if len(stored) < 4 or [n % 65535 for n in struct.unpack("<2H", stored)] != sums:
        raise ValueError("a wrong checksum")
    return content


# By their numbers in HDF5. Shuffle sorts the bytes of larger numbers: of bytes it changes nothing.
UNPACKERS = {
    1: inflated,
    2: lambda content, size: content,
    3: _unsummed,
    32000: unpacked_lzf,
}
