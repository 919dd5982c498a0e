export { Recorder } from "../../src/testing/recorder.ts";
