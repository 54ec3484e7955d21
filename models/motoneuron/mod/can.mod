TITLE N-type calcium current, m2h

COMMENT
Source: the cat motoneuron of Mousa & Elbasiouny 2020 (J Neurophysiol 124:1285), soma.

    ica  = gbar m^2 h (v - eca)
    minf = 1 / (1 + exp(-(v - vm)/km)),  m' = (minf - m)/taum
    hinf = 1 / (1 + exp((v - vh)/kh)),   h' = (hinf - h)/tauh

mV, ms, mA/cm2, S/cm2. The current is written to the calcium ion so that capool sees it and NEURON keeps
eca at the Nernst potential of the pool (cao is NEURON's default, 2 mM).
ENDCOMMENT

NEURON {
    THREADSAFE
    SUFFIX can
    USEION ca READ eca WRITE ica
    RANGE gbar, i, vm, km, taum, vh, kh, tauh
    RANGE minf, hinf
}

UNITS {
    (mV) = (millivolt)
    (mA) = (milliamp)
    (S)  = (siemens)
}

PARAMETER {
    gbar = 0.01 (S/cm2)
    vm   = -24  (mV)
    km   = 5    (mV)
    taum = 15   (ms)
    vh   = -42  (mV)
    kh   = 5    (mV)
    tauh = 50   (ms)
}

ASSIGNED {
    v    (mV)
    eca  (mV)
    ica  (mA/cm2)
    i    (mA/cm2)
    minf
    hinf
}

STATE { m h }

BREAKPOINT {
    SOLVE states METHOD cnexp
    ica = gbar * m*m * h * (v - eca)
    i = ica
}

INITIAL {
    rates(v)
    m = minf
    h = hinf
}

DERIVATIVE states {
    rates(v)
    m' = (minf - m) / taum
    h' = (hinf - h) / tauh
}

PROCEDURE rates(v (mV)) {
    minf = 1 / (1 + exp(-(v - vm) / km))
    hinf = 1 / (1 + exp((v - vh) / kh))
}
