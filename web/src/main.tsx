import { render } from "preact";
import { Application } from "./app/shell";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/parts.css";
import "./styles/table.css";
import "./styles/pages.css";

const root = document.getElementById("app");
if (root) {
  root.textContent = "";
  render(<Application root={root} />, root);
}
