import Foundation
import TestKit

// A link with faults, for scripts: impair [--pid FILE] PORT=UPSTREAM[,key=value...] ...
// With --pid it writes its process id and runs until it is stopped, four hours at most; else until its standard input
// ends. Keys: delay (ms round trip), jitter (ms), mbit, reset-every, stall-after (bytes), seed; and in an old spelling
// refuse-connections and refuse-opens (probabilities of a rejection).

func fail(_ text: String) -> Never {
    FileHandle.standardError.write(Data((text + "\n").utf8))
    exit(2)
}

var proxies: [ImpairmentProxy] = []
var arguments = Array(CommandLine.arguments.dropFirst())
var pidFile: String?
if arguments.first == "--pid", arguments.count > 1 {
    pidFile = arguments[1]
    arguments.removeFirst(2)
}
for argument in arguments {
    let parts = argument.split(separator: ",").map(String.init)
    let ports = parts[0].split(separator: "=").compactMap { UInt16($0) }
    guard ports.count == 2 else { fail("expected PORT=UPSTREAM[,key=value...]; found \(argument)") }
    var impairment = Impairment()
    var seed: UInt64 = 1
    for part in parts.dropFirst() {
        let pair = part.split(separator: "=").map(String.init)
        guard pair.count == 2, let value = Double(pair[1]), value >= 0 else {
            fail("expected key=number; found \(part)")
        }
        switch pair[0] {
        case "delay": impairment.delay = value / 1000
        case "jitter": impairment.jitter = value / 1000
        case "mbit": impairment.bytesPerSecond = value * 1e6 / 8
        // Old spelling, as scripts use it.
        case "refuse-connections": impairment.rejectConnections = value
        // Old spelling, too.
        case "refuse-opens": impairment.rejectOpens = value
        case "reset-every": impairment.resetEvery = Int(value)
        case "stall-after": impairment.stallAfter = Int(value)
        case "seed": seed = UInt64(value)
        default: fail("unknown key \(pair[0])")
        }
    }
    do { proxies.append(try ImpairmentProxy(port: ports[0], upstream: ports[1], impairment, seed: seed)) } catch {
        fail("cannot listen on port \(ports[0]): \(error)")
    }
}
guard !proxies.isEmpty else { fail("expected PORT=UPSTREAM[,key=value...] ...") }
print("ready")
fflush(nil)
if let pidFile {
    try "\(getpid())\n".write(toFile: pidFile, atomically: true, encoding: .utf8)
    sleep(4 * 3600)
    exit(0)
}
// Prints what passed, when asked for by a line; ends with its standard input.
while readLine() != nil {
    print(
        proxies.map {
            "\($0.port) connections \($0.connectionsAccepted) bytes \($0.bytesDown) rejected-opens \($0.rejectedOpens)"
        }.joined(separator: "; "))
    fflush(nil)
}
for proxy in proxies { proxy.stop() }
