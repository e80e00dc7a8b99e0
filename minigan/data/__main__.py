"""python -m minigan.data: make HDF5 files of colour images, and show them."""

import sys

import numpy

from minigan.data.images import ImageDataset
from minigan.data.pack import pack_images
from minigan.training import ArgumentParser, plot_sample_grid, positive_int


def pack(arguments):
    count, skipped = pack_images(arguments.folder, arguments.out, arguments.group, arguments.force)
    for reason in skipped:
        print(f"skipped {reason}", file=sys.stderr)
    print(f"packed {count} images into {arguments.out}, group {arguments.group}; "
          f"skipped {len(skipped)} files")


def show(arguments):
    dataset = ImageDataset(arguments.file, group=arguments.group, device="cpu")
    shapes = numpy.array([dataset.shape(index) for index in range(len(dataset))])
    indices = numpy.linspace(0, len(dataset) - 1, min(arguments.count, len(dataset))).astype(int)
    path = plot_sample_grid(dataset.batch(indices), arguments.out)
    print(f"{len(dataset)} images in group {dataset.group}: height "
          f"{_format_range(shapes[:, 0])}, width {_format_range(shapes[:, 1])}")
    print(f"saved {path}")


def _format_range(sizes):
    low, high = sizes.min(), sizes.max()
    return f"{low}" if low == high else f"{low} to {high}"


def main():
    parser = ArgumentParser("Make HDF5 files of colour images, and show them.",
                            prog="python -m minigan.data")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    packing = commands.add_parser(
        "pack", help="make a file of the images in a folder",
        description="Write the images in a folder and its subfolders to an HDF5 file. Greyscale "
                    "becomes RGB, transparency becomes white. Files that cannot be read or are "
                    "smaller than 128 x 128 are skipped and reported.")
    packing.add_argument("folder", metavar="FOLDER", help="where the images are")
    packing.add_argument("out", metavar="OUT", help="the HDF5 file to write")
    packing.add_argument("--group", default="images", help="the group in the file")
    packing.add_argument("--force", action="store_true", help="replace an existing file")
    packing.set_defaults(run=pack)

    showing = commands.add_parser(
        "show", help="save a picture of some images of a file",
        description="Print the number and sizes of the images in a file, and save some of them, "
                    "cropped as in training and spread over the whole set, as one PNG file.")
    showing.add_argument("file", metavar="FILE", help="an HDF5 file, or: faces")
    showing.add_argument("--out", default="sheet.png", help="the PNG file to write")
    showing.add_argument("--count", type=positive_int, default=25, help="how many images")
    showing.add_argument("--group", help="the group in the file, if several have images")
    showing.set_defaults(run=show)

    arguments = parser.parse_args()
    with commands.choices[arguments.command].report_errors():
        arguments.run(arguments)


if __name__ == "__main__":
    main()
