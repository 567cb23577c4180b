// What the pages cannot do by themselves. Without this file every link and form still works.
"use strict";

(() => {
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  document.documentElement.classList.add("js");

  // Trusted Types: only htmx may turn our own server's answers into elements; nobody else may
  // turn any text into anything (the empty string, with which ECharts clears its box, is none).
  const policies = window.trustedTypes;
  const fromServer = { createHTML: (html) => html, createScript: () => null };
  const policy = policies ? policies.createPolicy("htmx", fromServer) : fromServer;
  if (policies) {
    policies.createPolicy("default", { createHTML: (html) => (html === "" ? "" : null) });
  }
  htmx.registerExtension("endcap-trusted", { init: (api) => api.initSecurity(policy) });

  // The seat: cards glide to their new places, and the focus never gets lost.
  let places = new Map();
  let before = null;
  const cards = () => document.querySelectorAll("#cards > .card");

  document.addEventListener("htmx:before:swap", () => {
    places = new Map([...cards()].map((card) => [card.id, card.getBoundingClientRect()]));
    before = document.activeElement && document.activeElement.id;
  });

  document.addEventListener("htmx:after:swap", () => {
    for (const card of calm.matches ? [] : cards()) glide(card, places.get(card.id));
    if (before && document.activeElement === document.body) {
      (document.getElementById(before) || document.getElementById("strip"))?.focus({
        preventScroll: true,
      });
    }
    hideTrouble();
    draw();
  });

  function glide(card, from) {
    if (!from) {
      if (places.size) card.animate([{ opacity: 0, transform: "scale(.96)" }, {}], 260);
      return;
    }
    const to = card.getBoundingClientRect();
    const [dx, dy] = [from.left - to.left, from.top - to.top];
    if (dx || dy) {
      const easing = "cubic-bezier(.2,.8,.3,1)";
      card.animate([{ transform: `translate(${dx}px, ${dy}px)` }, {}], { duration: 380, easing });
    }
  }

  // A server that does not answer is said so, in the page's language.
  const trouble = document.getElementById("trouble");

  document.addEventListener("htmx:error", () => {
    trouble.textContent = document.body.dataset.network;
    trouble.hidden = false;
  });

  function hideTrouble() {
    trouble.hidden = true;
  }

  // The page of events follows the log only while somebody wants it to.
  document.addEventListener("htmx:before:request", (event) => {
    const live = document.getElementById("live-on");
    if (event.target.id === "live" && live && !live.checked) event.preventDefault();
  });

  // Suggestions: arrow keys walk the list, Escape leaves it.
  document.addEventListener("keydown", (event) => {
    const search = event.target.closest?.(".search");
    if (!search) return;
    const stops = [search.querySelector("input"), ...search.querySelectorAll(".found a")];
    const at = stops.indexOf(document.activeElement);
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && at >= 0 && stops.length > 1) {
      event.preventDefault();
      stops[(at + step + stops.length) % stops.length].focus();
    } else if (event.key === "Escape") {
      search.querySelector(".found")?.remove();
      stops[0].focus();
    }
  });

  document.addEventListener("click", (event) => {
    if (!event.target.closest(".search")) document.querySelector(".search .found")?.remove();
  });

  // The heat map: the library is fetched when the picture comes near the screen.
  const NARROW = 620;
  let echarts = null;
  let chart = null;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const near = new IntersectionObserver((seen) => {
    if (seen.some((entry) => entry.isIntersecting)) {
      near.disconnect();
      import(document.body.dataset.echarts).then((library) => {
        echarts = library;
        draw();
      });
    }
  }, { rootMargin: "300px" });

  function draw() {
    const box = document.getElementById("heat");
    if (!box) return;
    if (!echarts) {
      near.observe(box);
      return;
    }
    const data = JSON.parse(box.dataset.heat);
    box.style.height = `${data.rows.length * 30 + (box.clientWidth < NARROW ? 40 : 138)}px`;
    if (chart && chart.getDom() !== box) {
      chart.dispose();
      chart = null;
    }
    chart ??= echarts.init(box, null, { renderer: "canvas" });
    chart.resize();
    chart.setOption(options(data, box), true);
  }

  function options(data, box) {
    const style = getComputedStyle(box);
    const ink = (name) => style.getPropertyValue(name).trim();
    const narrow = box.clientWidth < NARROW;
    const cut = (length) => (text) => (text.length > length ? `${text.slice(0, length - 1)}…` : text);
    const words = { color: ink("--muted"), fontFamily: style.fontFamily, fontSize: 12 };
    const quiet = { axisLine: { show: false }, axisTick: { show: false }, splitLine: { show: false } };
    const most = Math.max(1, ...data.cells.map((cell) => cell[2]));
    return {
      animation: !calm.matches,
      animationDuration: 300,
      grid: { left: narrow ? 112 : 230, right: 12, top: 8, bottom: narrow ? 30 : 128 },
      xAxis: {
        type: "category", data: data.columns, ...quiet,
        axisLabel: {
          ...words, interval: 0, rotate: narrow ? 0 : 40,
          formatter: narrow ? (_, index) => String(index + 1) : cut(18), // the cards' numbers
        },
      },
      yAxis: {
        type: "category", data: data.rows, inverse: true, ...quiet,
        axisLabel: { ...words, interval: 0, formatter: cut(narrow ? 16 : 34) },
      },
      tooltip: {
        renderMode: "richText", // draws on the canvas: a title can never become HTML
        confine: true,
        backgroundColor: ink("--surface"), borderColor: ink("--line"),
        textStyle: { ...words, color: ink("--ink") },
        formatter: ({ data: [column, row, percent] }) =>
          `${data.rows[row]}\n→ ${data.columns[column]}\n${percent} %`,
      },
      visualMap: {
        show: false, min: 0, max: most,
        inRange: { color: [ink("--heat-0"), ink("--heat-1"), ink("--heat-2")] },
      },
      series: [{
        type: "heatmap", data: data.cells,
        label: {
          show: !narrow, fontSize: 11, fontFamily: style.fontFamily,
          formatter: ({ data: cell }) => (cell[2] >= 1 ? Math.round(cell[2]) : ""),
          color: ink("--heat-ink"),
        },
        itemStyle: { borderColor: ink("--surface"), borderWidth: 2, borderRadius: 5 },
        emphasis: { itemStyle: { borderColor: ink("--accent") } },
      }],
    };
  }

  dark.addEventListener("change", draw);
  addEventListener("resize", () => chart && requestAnimationFrame(draw));
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", draw);
  else draw();
})();
