// Texts and styles of the control pane of `python -m sdviz.live`.
"use strict";
(() => {
  const EN = {
    prompt: "Prompt", negative: "Negative prompt", cfg: "CFG scale", sampler: "Sampler", steps: "Steps", seed: "Seed",
    width: "Width", height: "Height", model: "Model", further: "Further settings, as on the command line", run: "Run", stopAfter: "Stop after this cell", stopNow: "Stop now",
    queue: "Queue", now: "Now", done: "Done", remove: "Remove", idle: "Nothing is running.", ready: "ready",
    away: "python -m sdviz.live is not running. Start it to use this form.",
    hint: "Each field takes one value, a list (7,15,20) or a range (1-20 [5], range(0,8)). Enter one prompt per line.",
    cells: (n, e) => `${n} cell${n === 1 ? "" : "s"}, ${e} evaluations`, lost: "The page's server does not respond.",
    picture: "Settings of a picture …", drop: "Choose a PNG, JPEG or WebP from sdviz, stable-diffusion-webui, ComfyUI, Fooocus or others, or drop it on this form.",
    stopping: "stopping", loading: "Loading the model.", of: "of", cell: "cells",
  };
  const ZH = {
    prompt: "提示词", negative: "反向提示词", cfg: "CFG 强度", sampler: "采样器", steps: "步数", seed: "种子",
    width: "宽", height: "高", model: "模型", further: "更多设置，写法同命令行", run: "运行", stopAfter: "当前格完成后停止", stopNow: "立即停止",
    queue: "队列", now: "正在运行", done: "已完成", remove: "移除", idle: "没有正在运行的任务。", ready: "就绪",
    away: "python -m sdviz.live 未运行，启动后即可使用此表单。",
    hint: "每个字段可填单个值、列表 (7,15,20) 或范围 (1-20 [5], range(0,8))。提示词每行一个。",
    cells: (n, e) => `${n} 格，${e} 次模型调用`, lost: "页面的服务器没有响应。",
    picture: "读取图片中的设置…", drop: "选择 sdviz、stable-diffusion-webui、ComfyUI、Fooocus 等程序生成的 PNG、JPEG 或 WebP，或直接拖到此表单上。",
    stopping: "正在停止", loading: "正在加载模型。", of: "/", cell: "格",
  };
  const say = window.sdvizPane.spoken(EN, ZH);
  const STYLE = `
    :host { color-scheme: dark; display: block; height: 100%; }
    * { box-sizing: border-box; }
    .all { min-height: 100%; overflow: auto; padding: 1em 1.2em; background: #2b2b2b; color: #e4e4e4; font: 14px/1.45 system-ui, sans-serif; }
    form { display: grid; grid-template-columns: repeat(12, 1fr); gap: .6em .8em; }
    .field { grid-column: span 2; min-width: 0; } .prompt, .negative { grid-column: span 6; } .further { grid-column: 1 / -1; }
    .sampler { grid-column: span 3; } .steps, .width, .height { grid-column: span 1; }
    label { display: block; color: #b8b8b8; font-size: 12px; }
    input, textarea { width: 100%; font: inherit; color: #fff; background: #1c1c1c; border: 1px solid #555; padding: .35em .5em; border-radius: 2px; }
    textarea { height: 4.2em; resize: vertical; }
    input:focus, textarea:focus, button:focus-visible { outline: 2px solid #fff; outline-offset: 0; }
    [aria-invalid=true] { border-color: #ff9d8a; }
    .error { color: #ff9d8a; font-size: 12px; min-height: 1.3em; overflow-wrap: anywhere; }
    .row { grid-column: 1 / -1; display: flex; gap: .8em; align-items: center; flex-wrap: wrap; }
    button { font: inherit; color: #fff; background: #4a4a4a; border: 1px solid #666; padding: .35em 1em; border-radius: 2px; cursor: pointer; }
    button.run { background: #e4e4e4; color: #111; border-color: #fff; font-weight: 600; }
    button:disabled { opacity: .45; cursor: default; }
    .quiet { color: #b8b8b8; font-variant-numeric: tabular-nums; } .warn { color: #ffd479; }
    .lists { display: grid; grid-template-columns: repeat(3, 1fr); gap: .2em 1.2em; margin-top: .6em; }
    h3 { font-size: 12px; color: #b8b8b8; font-weight: 400; margin: .2em 0; }
    ul { list-style: none; margin: 0; padding: 0; } li { display: flex; gap: .6em; align-items: baseline; overflow-wrap: anywhere; }
    li button { padding: 0 .5em; } a { color: #fff; }
    .dropping { outline: 2px dashed #fff; outline-offset: -6px; }
    @media (max-width: 760px) { .field, .prompt, .negative { grid-column: 1 / -1 !important; } .lists { grid-template-columns: 1fr; } }`;

  window.sdvizLive = { say, style: STYLE };
})();
