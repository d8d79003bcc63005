import Bytes
import Cluster
import Dispatch
import Foundation
import Storage
import Testing

/// Calls that do not return: whoever waits for them gets an error in time, and they are counted until they return.
@Suite(.timeLimit(.minutes(1))) struct LocalThreadsTests {
    @Test func aCallGivesItsValue() throws {
        let threads = LocalThreads()
        for number in 0..<1000 { #expect(try threads.run("f", seconds: 60) { number } == number) }
        #expect(threads.stuck == nil)
    }

    @Test func manyCallsAtOnceAreAllAnswered() throws {
        let threads = LocalThreads()
        DispatchQueue.concurrentPerform(iterations: 32) { first in
            for number in 0..<100 {
                let value = try? threads.run("f\(first)", seconds: 60) { first * 100 + number }
                #expect(value == first * 100 + number)
            }
        }
    }

    @Test func aStuckCallIsGivenUpCountedAndNotRepeated() throws {
        let threads = LocalThreads(maxStuck: 2)
        let release = DispatchSemaphore(value: 0)
        for (index, file) in ["/mnt/a", "/mnt/b"].enumerated() {
            let error = #expect(throws: InputError.self) { try threads.run(file, seconds: 0) { release.wait() } }
            #expect(error?.code == .deadline && error?.file == file && error?.code.isTransient == true)
            #expect(threads.stuck?.threads == index + 1 && threads.stuck?.file == "/mnt/a")
        }
        // Neither the same file nor, with so many stuck, another one costs a thread more.
        for file in ["/mnt/a", "/mnt/c"] {
            let error = #expect(throws: InputError.self) { try threads.run(file, seconds: 60) {} }
            #expect(error?.code == .deadline, "\(error as Any)")
        }
        #expect(
            threads.stuck?.threads == 2 && threads.stuck?.sentence.hasPrefix("2 threads stuck in /mnt/a for ") == true)
        release.signal()
        release.signal()
        while threads.stuck != nil { usleep(1000) }
        #expect(try threads.run("/mnt/a", seconds: 60) { 5 } == 5)
    }
}
