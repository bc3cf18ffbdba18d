// Live data: draws the stream of the last seconds as a line that moves on with time, also while nothing arrives.

import { connect } from "./socket.js";

const SPAN = 30_000; // ms shown
const STALE = 1_000; // ms without a point after which the line breaks and the page says so
const MARGIN = { top: 12, right: 16, bottom: 44, left: 52 };
const VALUES = [0, 25, 50, 75, 100];
const TIMES = [30, 20, 10, 0];

const section = document.getElementById("data");
const canvas = section.querySelector("canvas");
const pen = canvas.getContext("2d");
const points = []; // { at, value }, oldest first; `at` is the time of arrival, so clocks need not agree

connect(section, "/data", {
  onMessage(text) {
    if (!text.startsWith("{")) return; // the greeting
    const { timestamp, value, sequence } = JSON.parse(text);
    const now = performance.now();
    points.push({ at: now, value });
    while (points[1]?.at < now - SPAN) points.shift(); // not in draw(), which rests while the page is hidden
    canvas.dataset.sequence = sequence;
    document.getElementById("data-value").textContent = value.toFixed(1);
    document.getElementById("data-sequence").textContent = sequence;
    document.getElementById("data-time").textContent = new Date(timestamp * 1000).toLocaleTimeString();
  },
});

function draw() {
  const now = performance.now();
  showWarning(now);

  const { clientWidth: width, clientHeight: height } = canvas;
  const ratio = window.devicePixelRatio;
  canvas.width = Math.round(width * ratio); // also clears
  canvas.height = Math.round(height * ratio);
  pen.scale(ratio, ratio);

  const style = getComputedStyle(canvas);
  const area = {
    left: MARGIN.left,
    top: MARGIN.top,
    width: width - MARGIN.left - MARGIN.right,
    height: height - MARGIN.top - MARGIN.bottom,
  };
  const x = (at) => area.left + area.width * (1 - (now - at) / SPAN);
  const y = (value) => area.top + area.height * (1 - value / 100);
  drawAxes(area, (secondsAgo) => x(now - secondsAgo * 1000), y, style);
  drawLine(area, x, y, style);
  requestAnimationFrame(draw);
}

function showWarning(now) {
  const { state } = section.dataset;
  if (state === "connecting") return; // what was true before still is
  const stale = now - (points.at(-1)?.at ?? 0) > STALE;
  const words = state === "closed" ? "Disconnected" : stale ? "Stale: no new data" : "";
  const warning = section.querySelector(".chart p");
  if (warning.textContent !== words) warning.textContent = words;
}

function drawAxes(area, x, y, style) {
  pen.font = `${style.fontSize} ${style.fontFamily}`;
  pen.fillStyle = style.color;
  pen.strokeStyle = style.getPropertyValue("--line");
  pen.textBaseline = "middle";
  pen.textAlign = "right";
  for (const value of VALUES) {
    pen.strokeRect(area.left, Math.round(y(value)) + 0.5, area.width, 0);
    pen.fillText(value, area.left - 8, y(value));
  }
  pen.textAlign = "center";
  for (const seconds of TIMES) pen.fillText(seconds || "now", x(seconds), area.top + area.height + 14);
  pen.fillText("seconds ago", area.left + area.width / 2, area.top + area.height + 34);
  pen.save();
  pen.translate(10, area.top + area.height / 2);
  pen.rotate(-Math.PI / 2);
  pen.fillText("value", 0, 0);
  pen.restore();
}

function drawLine(area, x, y, style) {
  pen.strokeStyle = pen.fillStyle = style.getPropertyValue("--accent");
  pen.lineWidth = 2;
  pen.lineJoin = "round";
  pen.save();
  pen.beginPath();
  pen.rect(area.left, 0, area.width, area.top + area.height);
  pen.clip();
  pen.beginPath();
  points.forEach(({ at, value }, i) => {
    if (i > 0 && at - points[i - 1].at < STALE) pen.lineTo(x(at), y(value));
    else pen.moveTo(x(at), y(value));
  });
  pen.stroke();
  pen.restore();

  const last = points.at(-1);
  if (!last || x(last.at) < area.left) return;
  pen.beginPath();
  pen.arc(x(last.at), y(last.value), 4, 0, 2 * Math.PI);
  pen.fill();
}

draw();
