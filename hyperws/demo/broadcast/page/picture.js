// What became of all numbers so far, over time: received, waiting and left out, one upon the other.

const MARGIN = { top: 8, right: 12, bottom: 24, left: 44 };
const LEAST_SPAN = 10_000; // ms

// Each point is { at, received, waiting, published }; `colourOf(name)` gives the colour of each part.
export function draw(canvas, points, colourOf) {
  const pen = canvas.getContext("2d");
  const style = getComputedStyle(canvas);
  const { clientWidth: width, clientHeight: height } = canvas;
  const ratio = window.devicePixelRatio;
  canvas.width = Math.round(width * ratio); // also clears
  canvas.height = Math.round(height * ratio);
  pen.scale(ratio, ratio);

  const span = Math.max(LEAST_SPAN, points.at(-1)?.at ?? 0);
  const most = 100 * Math.max(1, Math.ceil((points.at(-1)?.published ?? 0) / 100));
  const bottom = height - MARGIN.bottom;
  const x = (at) => MARGIN.left + ((width - MARGIN.left - MARGIN.right) * at) / span;
  const y = (count) => bottom - ((bottom - MARGIN.top) * count) / most;

  const line = (height) => {
    const path = new Path2D();
    path.moveTo(x(0), y(0));
    for (const point of points) path.lineTo(x(point.at), y(height(point)));
    return path;
  };
  const area = (name, height) => {
    const path = line(height);
    path.lineTo(x(points.at(-1)?.at ?? 0), y(0));
    pen.fillStyle = colourOf(name);
    pen.fill(path);
    pen.stroke(path); // told apart not by colour alone
  };
  pen.lineWidth = 2;
  pen.strokeStyle = style.backgroundColor;
  area("dropped", (point) => point.published); // each covers what lies below it
  area("waiting", (point) => point.received + point.waiting);
  area("received", (point) => point.received);
  pen.strokeStyle = colourOf("published");
  pen.stroke(line((point) => point.published));

  pen.fillStyle = pen.strokeStyle = style.color;
  pen.lineWidth = 1;
  pen.strokeRect(MARGIN.left, bottom, width - MARGIN.left - MARGIN.right, 0);
  pen.font = `${style.fontSize} ${style.fontFamily}`;
  pen.textAlign = "right";
  pen.textBaseline = "middle";
  for (const count of [0, most / 2, most]) pen.fillText(count, MARGIN.left - 6, y(count));
  pen.textBaseline = "top";
  pen.textAlign = "left";
  pen.fillText("0 s", MARGIN.left, bottom + 6);
  pen.textAlign = "right";
  pen.fillText(`${Math.round(span / 1000)} s`, width - MARGIN.right, bottom + 6);
}
