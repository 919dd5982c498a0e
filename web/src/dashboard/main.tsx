import { render } from "preact";
import "uplot/dist/uPlot.min.css";
import "../theme/tokens.css";
import "../theme/base.css";
import "./dashboard.css";
import { App } from "./components/app.tsx";

const root = document.getElementById("app");
if (root) render(<App />, root);
