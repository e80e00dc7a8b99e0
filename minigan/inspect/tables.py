"""Tables in HTML, which notebooks show in place of text. Styles are inline: some notebooks drop
everything else."""

from html import escape

TABLE = "font-family: monospace; font-size: 90%; white-space: nowrap; border-collapse: collapse"


def html_table(header, rows, align, caption="", notes=()):
    """A table as HTML.

    header   texts, one for each column
    rows     lists of texts; a single text in place of a list is a heading over the columns
    align    "l" or "r" for each column
    caption  a text above the table
    notes    texts below it
    """
    sides = ["right" if side == "r" else "left" for side in align]
    styles = [f' style="text-align: {side}; padding: 1px 8px"' for side in sides]
    over_all = ' style="text-align: left; padding: 8px 8px 1px"'
    lines = [f"<div>{escape(caption)}</div>"] if caption else []
    lines += [f'<div style="overflow-x: auto"><table style="{TABLE}">', "<thead>",
              row_of("th", header, styles), "</thead><tbody>"]
    for row in rows:
        lines.append(row_of("td", row, styles) if not isinstance(row, str) else
                     f'<tr><th colspan="{len(styles)}"{over_all}>{escape(row)}</th></tr>')
    lines.append("</tbody></table></div>")
    return "\n".join([*lines, *(f"<div>{escape(note)}</div>" for note in notes)])


def row_of(tag, texts, styles):
    cells = (f"<{tag}{style}>{escape(text)}</{tag}>" for text, style in zip(texts, styles))
    return f"<tr>{''.join(cells)}</tr>"
