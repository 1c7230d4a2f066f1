// The project as the server has it: classes, images, and where masks come from.

import { askJson } from "./server.js";
import { emit, project } from "./state.js";

export function take(found) {
  Object.assign(project, found);
  emit("classes");
  emit("images");
}

export const readProject = async () => take(await askJson("/api/project"));
