// The county page: what waits now comes anew as it happens.
import { live } from "./live.js";

live(document.getElementById("now"), "/county/now");
