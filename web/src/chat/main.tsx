import { render } from "preact";
import "../theme/tokens.css";
import "../theme/base.css";
import "./chat.css";
import { App } from "./components/app.tsx";

const root = document.getElementById("app");
if (root) render(<App />, root);
