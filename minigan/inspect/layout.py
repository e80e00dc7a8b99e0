"""A layered layout of a graph: nodes stand in rows, so that every edge leads downwards.

K. Sugiyama, S. Tagawa and M. Toda, Methods for visual understanding of hierarchical system
structures, 1981: assign rows, reorder them against crossings, assign horizontal coordinates. An
edge over several rows gets a dummy node in each row between, so that it never runs through a box.
"""

from statistics import fmean

# Over all rows, downwards and upwards in turn; more did not change the pictures that were tried.
ORDERING_SWEEPS = 8
CENTRING_SWEEPS = 60
STRONG = 500  # the weight of an edge between operations; one from a leaf has 1


def layout(widths, edges, gap, lane):
    """Positions for nodes of these widths and the edges between them.

    edges  (source, target) pairs, sorted by target; a source comes before its target
    gap    the least distance between neighbours in a row
    lane   the width of a dummy node

    Returns rows, a list of the nodes' rows counted from the top; centres, their horizontal
    positions, where 0 is the left side of the leftmost; and routes, for each edge the horizontal
    positions of its dummy nodes.
    """
    rows = assign_rows(len(widths), edges)
    widths = list(widths)
    chains = []  # for each edge the nodes it goes through, dummies included
    table = [[] for _ in range(max(rows) + 1)]
    for node, row in enumerate(rows):
        table[row].append(node)
    for source, target in edges:
        dummies = []
        for row in range(rows[source] + 1, rows[target]):
            table[row].append(len(widths))
            dummies.append(len(widths))
            widths.append(lane)
        chains.append([source, *dummies, target])
    above, below = [[] for _ in widths], [[] for _ in widths]
    for chain in chains:
        for upper, lower in zip(chain, chain[1:]):
            above[lower].append(upper)
            below[upper].append(lower)
    table = reduce_crossings(table, above, below)
    centres = assign_centres(table, widths, above, below, gap)
    left = min(x - width / 2 for x, width in zip(centres, widths))
    centres = [x - left for x in centres]
    return rows, centres[:len(rows)], [[centres[node] for node in chain[1:-1]] for chain in chains]


def assign_rows(count, edges):
    """Each node's row, one above the highest node it leads to: inputs stand above their use."""
    height = [0] * count
    for source, target in reversed(edges):  # heights of targets are final before they are used
        height[source] = max(height[source], height[target] + 1)
    return [max(height) - h for h in height]


def reduce_crossings(table, above, below):
    """The rows reordered so that few edges cross: by the mean position of a node's neighbours."""
    table = [list(row) for row in table]
    for sweep in range(ORDERING_SWEEPS):
        neighbours, order = (above, table) if sweep % 2 == 0 else (below, table[::-1])
        position = {}
        for row in order:
            own = {node: index for index, node in enumerate(row)}
            means = {node: fmean([position[n] for n in neighbours[node]] or [own[node]])
                     for node in row}
            row.sort(key=means.get)
            position.update((node, index) for index, node in enumerate(row))
    return table


def assign_centres(table, widths, above, below, gap):
    """A centre for each node, near those of its neighbours, in the given order of each row.

    Edges from leaves weigh little, so that the operations line up below one another.
    """
    strength = [STRONG if inputs else 1 for inputs in above]  # of the edges that leave a node
    centres = [0.0] * len(widths)
    for sweep in range(CENTRING_SWEEPS):
        for row in table if sweep % 2 == 0 else table[::-1]:
            ideal, weights = [], []
            for node in row:
                edges = [(centres[n], strength[n]) for n in above[node]]
                edges += [(centres[n], strength[node]) for n in below[node]]
                weights.append(sum(weight for _, weight in edges))
                ideal.append(sum(x * weight for x, weight in edges) / weights[-1])
            positions = spread(ideal, weights, [widths[node] for node in row], gap)
            for node, x in zip(row, positions):
                centres[node] = x
    return centres


def spread(ideal, weights, widths, gap):
    """The positions nearest to the ideal ones, by weighted least squares, without overlaps.

    This is isotonic regression by pooling adjacent violators: neighbours that would overlap become
    a block at the mean of its members' ideal positions (R. E. Barlow et al., Statistical inference
    under order restrictions, 1972).
    """
    offsets = [0.0]  # from the first node, if all stood as close together as allowed
    for left, right in zip(widths, widths[1:]):
        offsets.append(offsets[-1] + (left + right) / 2 + gap)
    blocks = []  # [start of the row that is ideal for its members, their weight, their number]
    for x, weight, offset in zip(ideal, weights, offsets):
        blocks.append([x - offset, weight, 1])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            start, weight, count = blocks.pop()
            block = blocks[-1]
            block[0] = (block[0] * block[1] + start * weight) / (block[1] + weight)
            block[1] += weight
            block[2] += count
    starts = [start for start, _, count in blocks for _ in range(count)]
    return [start + offset for start, offset in zip(starts, offsets)]
