"""Where the nodes of a graph go in a picture: in rows, so that every edge leads downwards.

K. Sugiyama, S. Tagawa and M. Toda, Methods for visual understanding of hierarchical system
structures, 1981. Edges over several rows pass through a place of their own in each row between,
so that they never run through a box.
"""

from bisect import bisect_right, insort

# Over all rows, downwards and upwards in turn; more do not change the pictures that were tried.
SORTING_SWEEPS = 24
CENTRING_SWEEPS = 60
STRONG = 500  # how much an edge between operations counts, where one from a leaf counts 1


def layout(widths, edges, gap, lane):
    """Places for nodes of these widths, between which edges lead.

    edges  (source, target) each, sorted by target; a source comes before its target
    gap    the least distance between neighbours in a row
    lane   the width that a passing edge takes

    Returns rows, a list of nodes' rows counted from the top; centres, their horizontal places,
    0 being the left edge of all; and routes, for each edge the centres at which it passes the
    rows between.
    """
    rows = rows_of(len(widths), edges)
    widths = list(widths)
    chains = []  # for each edge the nodes it goes through, passing places included
    table = [[] for _ in range(max(rows) + 1)]
    for node, row in enumerate(rows):
        table[row].append(node)
    for source, target in edges:
        passing = []
        for row in range(rows[source] + 1, rows[target]):
            table[row].append(len(widths))
            passing.append(len(widths))
            widths.append(lane)
        chains.append([source, *passing, target])
    above, below = [[] for _ in widths], [[] for _ in widths]
    for chain in chains:
        for upper, lower in zip(chain, chain[1:]):
            above[lower].append(upper)
            below[upper].append(lower)
    table = with_few_crossings(table, above, below)
    centres = centred(table, widths, above, below, gap)
    left = min(x - width / 2 for x, width in zip(centres, widths))
    centres = [x - left for x in centres]
    return rows, centres[:len(rows)], [[centres[node] for node in chain[1:-1]] for chain in chains]


def rows_of(count, edges):
    """Each node one row above the highest that it leads to: inputs stand right above their use."""
    height = [0] * count
    for source, target in reversed(edges):  # all edges of a target before those that lead to it
        height[source] = max(height[source], height[target] + 1)
    return [max(height) - h for h in height]


def with_few_crossings(table, above, below):
    """The rows sorted so that few edges cross: each by the mean place of its neighbours."""
    best, fewest = table, crossings(table, below)
    for sweep in range(SORTING_SWEEPS):
        table = [list(row) for row in table]
        neighbours, order = (above, table) if sweep % 2 == 0 else (below, table[::-1])
        place = {}
        for row in order:
            own = {node: index for index, node in enumerate(row)}
            means = {node: mean([place[n] for n in neighbours[node]], own[node]) for node in row}
            row.sort(key=means.get)
            place.update((node, index) for index, node in enumerate(row))
        count = crossings(table, below)
        if count < fewest:
            best, fewest = table, count
    return best


def mean(values, otherwise):
    return sum(values) / len(values) if values else otherwise


def crossings(table, below):
    """How many pairs of edges cross between neighbouring rows."""
    count = 0
    for upper, lower in zip(table, table[1:]):
        place = {node: index for index, node in enumerate(lower)}
        before = []  # where the edges further left end, sorted
        for node in upper:
            for end in sorted(place[n] for n in below[node]):
                count += len(before) - bisect_right(before, end)
                insort(before, end)
    return count


def centred(table, widths, above, below, gap):
    """A centre for each node: near its neighbours', without changing any row's order.

    Edges from leaves count little, so that the operations stand straight below one another.
    """
    strength = [STRONG if over else 1 for over in above]  # of the edges that leave a node
    centres = [0.0] * len(widths)
    for sweep in range(CENTRING_SWEEPS):
        for row in table if sweep % 2 == 0 else table[::-1]:
            wanted, weights = [], []
            for node in row:
                edges = [(centres[n], strength[n]) for n in above[node]]
                edges += [(centres[n], strength[node]) for n in below[node]]
                weights.append(sum(weight for _, weight in edges))
                wanted.append(sum(x * weight for x, weight in edges) / weights[-1])
            places = spread(wanted, weights, [widths[node] for node in row], gap)
            for node, x in zip(row, places):
                centres[node] = x
    return centres


def spread(wanted, weights, widths, gap):
    """Places in the order given, as near to those wanted (by weighted squares) as the widths allow.

    Neighbours that would overlap become a block, which lies at the mean of what its members want:
    R. E. Barlow et al., Statistical inference under order restrictions, 1972.
    """
    offsets = [0.0]  # from the first node, if all stood as close as they may
    for left, right in zip(widths, widths[1:]):
        offsets.append(offsets[-1] + (left + right) / 2 + gap)
    blocks = []  # [where its members want the row to start: the mean, their weight, their number]
    for x, weight, offset in zip(wanted, weights, offsets):
        blocks.append([x - offset, weight, 1])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            start, weight, count = blocks.pop()
            block = blocks[-1]
            block[0] = (block[0] * block[1] + start * weight) / (block[1] + weight)
            block[1] += weight
            block[2] += count
    starts = [start for start, _, count in blocks for _ in range(count)]
    return [start + offset for start, offset in zip(starts, offsets)]
