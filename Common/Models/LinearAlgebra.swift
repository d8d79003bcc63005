import COpenBLAS

/// The library that multiplies matrices.
package enum LinearAlgebra {
    /// The kernel type that it chose for this processor, or that OPENBLAS_CORETYPE names. Another type may round
    /// the last bit otherwise.
    package static let kernels = String(cString: openblas_get_corename())

    /// Keeps products on the thread that asks for them: parallel work is divided by lanes. Evaluated once a process.
    static let onCallersThread: Void = openblas_set_num_threads(1)
}
