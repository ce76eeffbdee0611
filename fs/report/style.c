/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/report/internal.h"

/*
 * Colours after Okabe and Ito's palette, which people with any of the common colour blindnesses can tell apart, darkened or lightened
 * where it takes that to have a contrast of 3:1 with the page (4.5:1 for text). Lines differ in their dashes as well.
 */
const char *const report_style[] = {
	/* Colours, frame, head */
	":root{--page:#fbfaf7;--card:#fff;--ink:#1c2024;--soft:#5a6169;--rule:#e2e0da;--axis:#8a8f95;"
	"--s0:#0068a8;--s1:#c65100;--s2:#00805c;--s3:#a34b82;--s4:#8a6d00;--s5:#4a4f57;"
	"--good:#00704f;--caution:#8f5a00;--bad:#b3261e;--plain:#5a6169;"
	"--good-soft:#e2f3ec;--caution-soft:#fbf0d9;--bad-soft:#fbe6e3;--plain-soft:#eceae4;color-scheme:light dark}\n"
	"@media(prefers-color-scheme:dark){:root{--page:#14171a;--card:#1c2024;--ink:#eceae6;--soft:#a4abb3;--rule:#"
	"32383e;"
	"--axis:#7c848c;--s0:#5ab4f0;--s1:#f2913d;--s2:#3cc79b;--s3:#e29bc6;--s4:#e2c541;--s5:#b9c0c7;"
	"--good:#4fd1a5;--caution:#f0b949;--bad:#ff8a80;--plain:#a4abb3;"
	"--good-soft:#12362b;--caution-soft:#3a2e12;--bad-soft:#43201d;--plain-soft:#2b3035}}\n"
	"*{box-sizing:border-box}"
	"body{margin:0 auto;padding:2.5rem 1.25rem 4rem;max-width:56rem;background:var(--page);color:var(--ink);"
	"font:1rem/1.55 system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif}"
	"header{border-bottom:2px solid var(--ink);padding-bottom:.9rem;margin-bottom:1.6rem}"
	"h1{font-size:1.9rem;line-height:1.2;margin:0;letter-spacing:-.01em;overflow-wrap:anywhere}"
	"h2{font-size:1.25rem;margin:2.4rem 0 .4rem}"
	"p{margin:.4rem 0;max-width:44rem;overflow-wrap:anywhere}"
	".events .r{width:1%}.subtitle{max-width:none;font-size:1.05rem;margin:.35rem 0 0}"
	".quiet{color:var(--soft);font-size:.9rem}"
	".sign{display:inline-block;flex:none;width:1.35em;height:1.35em;line-height:1.35em;text-align:center;border-"
	"radius:50%;"
	"font-weight:700;font-size:.85em;color:var(--card)}"
	".sign.good{background:var(--good)}.sign.caution{background:var(--caution)}"
	".sign.bad{background:var(--bad)}.sign.plain{background:var(--plain)}\n",
	/* Verdict and figures */
	".verdict{border-left:5px solid;border-radius:6px;padding:.8rem 1.1rem;margin:1.2rem 0}"
	".verdict.good{background:var(--good-soft);border-color:var(--good)}"
	".verdict.caution{background:var(--caution-soft);border-color:var(--caution)}"
	".verdict.bad{background:var(--bad-soft);border-color:var(--bad)}"
	".verdict.plain{background:var(--plain-soft);border-color:var(--plain)}"
	".verdict>p{font-size:1.15rem;margin:0}"
	".verdict ul{list-style:none;margin:.7rem 0 0;padding:0}"
	".verdict li{display:flex;gap:.6rem;align-items:baseline;padding:.18rem 0;overflow-wrap:anywhere}\n"
	".figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(11rem,1fr));gap:.8rem;margin:1.2rem 0}"
	".figures>div{background:var(--card);border:1px solid var(--rule);border-radius:8px;padding:.8rem "
	"1rem;display:flex;"
	"flex-direction:column}"
	".figures dt{color:var(--soft);font-size:.9rem}.figures dd{margin:0}"
	".figures .value{font-size:1.7rem;font-weight:650;line-height:1.3;font-variant-numeric:tabular-nums}\n",
	/* Charts */
	"figure{background:var(--card);border:1px solid var(--rule);border-radius:8px;margin:1rem 0;padding:1rem "
	"1.1rem}"
	"figcaption{margin-bottom:.7rem}figcaption strong{display:block}"
	"figcaption span{color:var(--soft);font-size:.92rem}"
	".scroll{overflow-x:auto}"
	"svg{display:block;width:100%;min-width:36rem;height:auto;font-size:13px}"
	"svg text{fill:var(--ink);unicode-bidi:isolate}svg .tick,svg .label{fill:var(--soft)}svg .tick{font-size:12px}"
	"svg .value,svg .tick{font-variant-numeric:tabular-nums}"
	".grid{stroke:var(--rule);fill:none}.axis{stroke:var(--axis);fill:none}"
	".line{fill:none;stroke-width:2.25;stroke-linejoin:round;stroke-linecap:round}.dot{stroke-width:0}\n"
	".s0{stroke:var(--s0)}.s1{stroke:var(--s1);stroke-dasharray:7 4}.s2{stroke:var(--s2);stroke-dasharray:2 4}"
	".s3{stroke:var(--s3);stroke-dasharray:10 3 2 3}.s4{stroke:var(--s4);stroke-dasharray:14 4}"
	".s5{stroke:var(--s5);stroke-dasharray:4 2}"
	".fill{stroke:none}.s0.fill,.s0.dot{fill:var(--s0)}.s1.fill,.s1.dot{fill:var(--s1)}.s2.fill,.s2.dot{fill:var(--"
	"s2)}"
	".s3.fill,.s3.dot{fill:var(--s3)}.s4.fill,.s4.dot{fill:var(--s4)}.s5.fill,.s5.dot{fill:var(--s5)}\n"
	".span{stroke-width:1.25}.span.good{fill:var(--good-soft);stroke:var(--good)}"
	".span.caution{fill:var(--caution-soft);stroke:var(--caution)}.span.bad{fill:var(--bad-soft);stroke:var(--bad)}"
	".span.plain{fill:var(--plain-soft);stroke:var(--plain)}"
	".mark path{stroke-width:1.5;fill:none}.mark text{fill:var(--card);font-weight:700;font-size:12px}"
	".mark.good circle{fill:var(--good)}.mark.good path{stroke:var(--good)}"
	".mark.caution circle{fill:var(--caution)}.mark.caution path{stroke:var(--caution)}"
	".mark.bad circle{fill:var(--bad)}.mark.bad path{stroke:var(--bad)}"
	".mark.plain circle{fill:var(--plain)}.mark.plain path{stroke:var(--plain)}\n",
	/* Tables, paper */
	"table{border-collapse:collapse;width:100%;font-size:.92rem;margin:.6rem 0}"
	"caption{text-align:left;color:var(--soft);padding-bottom:.3rem}"
	"th,td{text-align:left;padding:.38rem .9rem .38rem 0;border-bottom:1px solid var(--rule);vertical-align:top;"
	"unicode-bidi:isolate;overflow-wrap:anywhere}"
	"th{font-weight:600;border-bottom-color:var(--axis);white-space:nowrap}"
	"th:last-child,td:last-child{padding-right:0}"
	".r{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}"
	"details{margin-top:.7rem}summary{cursor:pointer;color:var(--soft);font-size:.9rem}\n"
	"@media print{body{max-width:none;padding:0}figure,.verdict,.figures{break-inside:avoid}details{display:none}}",
	NULL,
};
