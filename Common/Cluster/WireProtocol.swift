/// The version of the messages between coordinator and workers. It grows whenever one side could misunderstand the
/// other.
package enum WireProtocol {
    /// Version 1: one manifest names what is trained on and how. Version 2: a round's order names a data plan and a
    /// training plan. Version 3: no message has kernel types of OpenBLAS, and members compute with another arithmetic.
    /// Version 4: members end a training with sums over both train and test. Version 5: members connect by addresses
    /// that they publish together, and greet each other; the loss of a step is summed in several numbers, and samples
    /// may have a target; the coordinator revokes leases that nobody waits for.
    package static let version = 5

    /// Why a worker and a coordinator cannot work together; nil where they can.
    /// - Parameters:
    ///   - worker: the worker's protocol version.
    ///   - coordinator: the coordinator's protocol version.
    package static func mismatch(worker: Int, coordinator: Int) -> String? {
        guard worker != coordinator else { return nil }
        let older = worker < coordinator ? "worker" : "coordinator"
        return "the worker speaks version \(worker) of the protocol, the coordinator version \(coordinator); "
            + "install the same version of beamline for both: the \(older)'s is the older one"
    }
}
